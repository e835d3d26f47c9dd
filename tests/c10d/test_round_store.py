"""A live TCPStore at the address of a round, over any backend."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from rendezvous_c10d import host_tcp_store
from rendezvous_core import RendezvousConnectionError, RendezvousHandler, RendezvousParameters
from rendezvous_core import get_rendezvous_handler as create
from rendezvous_core.ports.handler import RendezvousInfo
from rendezvous_core.testing.suites.threads import together

PATIENCE = 60.0


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[list[RendezvousHandler]]:
    params = RendezvousParameters("sqlite", str(tmp_path / "run.db"), "run", 2, 2, "127.0.0.1")
    handlers = [create(params) for _ in range(2)]
    yield handlers
    for handler in handlers:
        handler.shutdown()


def meet(handlers: list[RendezvousHandler]) -> list[RendezvousInfo]:
    infos: list[RendezvousInfo] = together([handler.next_rendezvous for handler in handlers], PATIENCE)
    return sorted(infos, key=lambda info: info.rank)


def test_all_nodes_and_any_program_find_it(handlers: list[RendezvousHandler]) -> None:
    places = set()
    for number in range(2):
        infos = meet(handlers)
        stores = together([lambda info=info: host_tcp_store(info) for info in infos], PATIENCE)  # type: ignore[misc]
        stores[0].set("key", str(number))
        where = infos[1].bootstrap_store_info
        worker = TCPStore(where.master_addr, where.master_port, is_master=False)
        assert [stores[1].get("key"), worker.get("key")] == [str(number).encode()] * 2
        places.add(where.master_port)
    assert len(places) == 2, "each round has one of its own"


def test_a_port_that_was_taken_meanwhile_is_named(handlers: list[RendezvousHandler]) -> None:
    first, second = meet(handlers)
    store = host_tcp_store(first)
    with pytest.raises(RendezvousConnectionError, match=rf"127\.0\.0\.1:{store.port}: .*taken.* meet again"):
        host_tcp_store(first)
    del store
    with pytest.raises(RendezvousConnectionError, match=r"Rank 0 has no TCPStore at 127\.0\.0\.1:"):
        host_tcp_store(second, timedelta(seconds=0.1))
