"""The backend ``static``: ranks that the caller gives, and the store that the nodes share."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousPluginError,
    RendezvousStateError,
    RendezvousTimeoutError,
    get_rendezvous_handler,
)

Create = Callable[..., RendezvousHandler]


def parameters(
    endpoint: str = "localhost:29500", nodes: int = 1, run_id: str = "run", **options: Any
) -> RendezvousParameters:
    return RendezvousParameters("static", endpoint, run_id, nodes, nodes, **options)


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Create]:
    """Creates handlers that share a file, and shuts them down."""
    handlers: list[RendezvousHandler] = []

    def create(**options: Any) -> RendezvousHandler:
        defaults = {"store_endpoint": str(tmp_path / "store.db"), "keep_alive_interval": "0.5"}
        handler = get_rendezvous_handler(parameters(**defaults | options))
        handlers.append(handler)
        return handler

    yield create
    for handler in handlers:
        handler.shutdown()


def together(handlers: list[RendezvousHandler]) -> list[RendezvousInfo]:
    with ThreadPoolExecutor(len(handlers)) as pool:
        return list(pool.map(lambda handler: handler.next_rendezvous(), handlers))


def test_rank_world_size_and_address_are_those_given(create: Create) -> None:
    handlers = [create(endpoint="127.0.0.1:29500", nodes=3, rank=rank) for rank in (2, 0, 1)]
    infos = together(handlers)
    assert [info.rank for info in infos] == [2, 0, 1]
    for info in infos:
        assert info.world_size == 3
        assert info.bootstrap_store_info.master_addr == "127.0.0.1"
        assert info.bootstrap_store_info.master_port == 29500
    infos[0].store.set("key", "value")
    assert infos[1].store.get("key") == b"value"


def test_it_is_a_static_world(create: Create) -> None:
    handler = create(rank=0, run_id="job")
    handler.next_rendezvous()
    assert handler.get_backend() == "static"
    assert handler.get_run_id() == "job"
    assert handler.num_nodes_waiting() == 0
    handler.set_closed()
    assert not handler.is_closed()
    assert handler.next_rendezvous().rank == 0
    assert handler.shutdown()


def test_numbers_may_be_strings(create: Create) -> None:
    assert create(rank="0", timeout="30").next_rendezvous().rank == 0


def test_each_round_has_a_store_of_its_own(create: Create) -> None:
    handlers = [create(nodes=2, rank=rank) for rank in range(2)]
    first = together(handlers)
    first[0].store.set("key", "old")
    second = together(handlers)
    assert not second[0].store.check(["key"])
    assert [info.rank for info in second] == [0, 1]


def test_a_run_id_can_be_used_again(create: Create) -> None:
    for value in ("first", "second"):
        handlers = [create(nodes=2, rank=rank) for rank in range(2)]
        infos = together(handlers)
        assert not infos[0].store.check(["key"])
        infos[0].store.set("key", value)
        assert infos[1].store.get("key") == value.encode()
        assert all(handler.shutdown() for handler in handlers)


def test_all_may_leave_and_come_again(create: Create) -> None:
    handlers = [create(nodes=2, rank=rank) for rank in (0, 1)]
    for _ in range(2):
        together(handlers)
        assert [handler.leave(done=True) for handler in handlers] == [True, True]


def test_it_waits_for_all_nodes_and_tells_who_is_missing(create: Create) -> None:
    with pytest.raises(RendezvousTimeoutError, match=r"did not complete within 0.5 s .* more needed"):
        create(nodes=2, rank=0, timeout="0.5").next_rendezvous()


def test_a_rank_given_twice_is_an_error_of_the_second_node(create: Create) -> None:
    handlers = [create(nodes=2, rank=1) for _ in range(2)]
    outcomes: list[object] = []
    lock = threading.Lock()

    def join(handler: RendezvousHandler) -> None:
        try:
            outcome: object = handler.next_rendezvous().rank
        except RendezvousStateError as error:
            outcome = str(error)
        with lock:
            outcomes.append(outcome)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(join, handlers))
    assert 1 in outcomes
    assert (
        "Rank 1 of the run 'run' was given to another node too; each of the 2 nodes needs a rank of its own."
        in outcomes
    )


def refused(reason: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=reason):
        get_rendezvous_handler(parameters(**options))


def test_the_rank_must_be_given_and_in_range() -> None:
    refused("option 'rank' of the static rendezvous is absent")
    refused(r"'rank' \('x'\) must be an integer from 0", rank="x")
    refused(r"'rank' \(3\) must be from 0 to 2, since there are 3 nodes", rank=3, nodes=3)
    refused(r"'rank' \('-1'\) must be an integer from 0", rank="-1", nodes=3)


def test_the_endpoint_must_be_given_with_a_port() -> None:
    refused("endpoint of the static rendezvous is absent", rank=0, endpoint=" ")
    refused("'localhost' of the static rendezvous has no port", rank=0, endpoint="localhost")
    refused("'localhost:0' of the static rendezvous has no port", rank=0, endpoint="localhost:0")
    refused("port between 0 and 65535", rank=0, endpoint="localhost:http")


def test_a_run_id_must_be_given() -> None:
    refused("run id must be a non-empty string", rank=0, run_id="")


def test_several_machines_need_a_store_that_reaches_them() -> None:
    refused(
        "'node0.example' may span machines and needs the option 'store_backend'",
        rank=0,
        nodes=2,
        endpoint="node0.example:29500",
    )


def test_the_store_may_come_from_any_backend_but_not_from_none(create: Create) -> None:
    handler = create(rank=0, endpoint="node0.example:29500", store_backend="sqlite")
    assert handler.next_rendezvous().bootstrap_store_info.master_addr == "node0.example"
    with pytest.raises(ValueError, match="'no-such-backend' is not registered"):
        create(rank=0, store_backend="no-such-backend")
    with pytest.raises(RendezvousPluginError, match="builds whole handlers and opens no backend"):
        create(rank=0, store_backend="static")
