"""How a node gets its place, and the address of rank 0."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from rendezvous_core import DynamicRendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.cli.lookout import Lookout
from rendezvous_core.cli.seat import Place, take_seat
from rendezvous_core.dynamic.wishes import Ask
from rendezvous_core.protocol.node import Joined
from tests.core.processes import PATIENCE


@pytest.fixture
def params(tmp_path: Path) -> RendezvousParameters:
    return RendezvousParameters("sqlite", str(tmp_path / "db"), "run", 2, 2, local_addr="127.0.0.1")


@pytest.fixture
def pair(params: RendezvousParameters) -> Iterator[list[DynamicRendezvousHandler]]:
    """Two handlers, the first of which gets rank 0 if it asks before or at the same time."""
    handlers = [get_rendezvous_handler(params) for _ in range(2)]
    pair = [handler for handler in handlers if isinstance(handler, DynamicRendezvousHandler)]
    yield sorted(pair, key=lambda handler: handler.node_id)
    for handler in handlers:
        handler.shutdown()


def join(
    pool: ThreadPoolExecutor, handler: DynamicRendezvousHandler, params: RendezvousParameters
) -> "Future[Joined]":
    """Have a node ask, up to where next_rendezvous gives its address; return when others see it ask."""
    joining = pool.submit(handler._join, Ask(), time.monotonic() + PATIENCE)
    with closing(Lookout(params)) as lookout:
        deadline = time.monotonic() + PATIENCE
        while not ((look := lookout.look()) and look.those("waiting")):
            assert time.monotonic() < deadline, "the node does not ask"
            lookout.wait(0.5)
    return joining


def test_a_rank_0_that_is_gone_before_it_gave_its_address_holds_up_nobody(
    params: RendezvousParameters, pair: list[DynamicRendezvousHandler]
) -> None:
    first, second = pair
    with ThreadPoolExecutor() as pool:
        joining = join(pool, first, params)
        taking = pool.submit(take_seat, second, params, Place(3, 4), lambda: True)
        assert joining.result(PATIENCE).rank == 0
        first.leave()
        again = pool.submit(first.next_rendezvous)
        seat = taking.result(PATIENCE)
        assert seat is not None
        assert {seat.joined.rank, again.result(PATIENCE).rank} == {0, 1}
    assert seat.joined.round == 1
    assert seat.environment["LOCAL_RANK"] == "3"
    assert seat.environment["MASTER_ADDR"] == "127.0.0.1"


def test_a_node_that_is_told_to_stop_waits_for_no_address(
    params: RendezvousParameters, pair: list[DynamicRendezvousHandler]
) -> None:
    first, second = pair
    wanted = True
    with ThreadPoolExecutor() as pool:
        joining = join(pool, first, params)
        taking = pool.submit(take_seat, second, params, Place(), lambda: wanted)
        assert joining.result(PATIENCE).rank == 0
        wanted = False
        assert taking.result(PATIENCE) is None
