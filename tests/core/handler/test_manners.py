"""How a handler, what it hands out, and stores behave as objects of Python."""

import logging
import os
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rendezvous_core import (
    PrefixStore,
    RendezvousClosedError,
    RendezvousHandler,
    RendezvousTimeoutError,
)
from rendezvous_core.dynamic import handler as handler_module
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import PATIENCE, Group, eventually, group


@pytest.fixture
def nodes() -> Iterator[Group]:
    with group() as members:
        yield members


def test_all_say_what_they_are(nodes: Group) -> None:
    handler = nodes.node(1, 1)
    assert repr(handler) == "<DynamicRendezvousHandler of the run 'run' on 'memory': in no round>"
    (info,) = nodes.join(handler)
    assert "rank 0 of 1 in round 0" in repr(handler)
    assert repr(info).startswith("RendezvousInfo(rank=0, world_size=1, store=<PrefixStore 'rendezvous/run/0/")
    assert (
        repr(PrefixStore("mine", MemoryStore(MemoryServer(), "any")))
        == "<PrefixStore 'mine' of <MemoryStore>>"
    )


def test_what_cannot_be_pickled_says_what_to_hand_over_instead(nodes: Group) -> None:
    handler = nodes.node(1, 1)
    (info,) = nodes.join(handler)
    told: list[tuple[Any, str]] = [
        (handler, "create a handler in the process"),
        (info, "hand over rank, world_size and bootstrap_store_info"),
        (info.store, "open one in the process"),
    ]
    for thing, advice in told:
        with pytest.raises(TypeError, match=advice):
            pickle.dumps(thing)
    assert pickle.loads(pickle.dumps(info.bootstrap_store_info)) == info.bootstrap_store_info


def test_a_block_that_ends_well_is_done_and_one_that_fails_leaves(nodes: Group) -> None:
    well, ill = nodes.node(2, 2), nodes.node(2, 2)
    nodes.join(well, ill)
    with ThreadPoolExecutor() as pool:

        def work() -> None:
            with well:
                pass

        pool.submit(work).result(PATIENCE)
        assert ill.num_nodes_waiting() == 0
        with pytest.raises(KeyError), ill:
            raise KeyError
    later = nodes.node(1, 2)
    assert not later.is_closed()  # one of the two was not done
    for handler in (well, ill):
        with pytest.raises(RendezvousClosedError, match="was shut down"):
            handler.next_rendezvous()
    eventually(lambda: not well._driver.is_running, "its thread has ended")


def test_a_handler_that_nobody_tells_looks_by_itself() -> None:
    class Told(RendezvousHandler):
        looks = 0

        def get_backend(self) -> str:
            return "told"

        def get_run_id(self) -> str:
            return "run"

        def next_rendezvous(self) -> Any: ...
        def set_closed(self) -> None: ...

        def is_closed(self) -> bool:
            return False

        def shutdown(self) -> bool:
            return True

        def num_nodes_waiting(self) -> int:
            self.looks += 1
            return int(self.looks > 2)

    handler = Told()
    assert handler.wait_for_membership_change(PATIENCE)
    assert handler.looks == 3
    assert handler.leave() is False
    assert repr(handler) == "<Told of the run 'run' on 'told'>"


def test_a_node_that_waits_says_so_once_in_the_log(
    nodes: Group, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (nodes.node(3, 3) for _ in range(3))

    def told() -> list[str]:
        own = f"[{second.node_id[:8]}] has waited"
        return [text for each in caplog.records if own in (text := each.getMessage())]

    asked = nodes.ask(first)
    eventually(
        lambda: any(
            b"join" in record for record in MemoryBackend(nodes.server, "run").members().records.values()
        ),
        "the first one waits",
    )
    monkeypatch.setattr(handler_module, "_SILENCE", 0.01)
    with caplog.at_level(logging.WARNING, "rendezvous_core"):
        asked += nodes.ask(second)
        eventually(told, "the log has a warning")
        asked += nodes.ask(third)
        for future in asked:
            future.result(PATIENCE)
    (message,) = told()
    assert re.fullmatch(
        rf"Run run: \S+ \(localhost\) pid {os.getpid()} \[{second.node_id[:8]}\] has waited 0.01 s for the "
        r"others: [12] of at least 3 nodes are there \(.+, heard .+ s ago\); [12] more needed",
        message,
    )


def test_a_group_too_large_to_list_is_not_listed(
    nodes: Group, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(handler_module, "_SILENCE", 0.01)
    lonely = nodes.node(2, 257, join=2.0)
    with caplog.at_level(logging.WARNING, "rendezvous_core"), pytest.raises(RendezvousTimeoutError):
        lonely.next_rendezvous()
    (message,) = [each.getMessage() for each in caplog.records if lonely.node_id[:8] in each.getMessage()]
    assert message.endswith("for the others: 'rdzv status' shows who")


def test_who_listens_slowly_does_not_end_a_wait(nodes: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a node waits for is told beside its wait, which goes on though nobody has taken that in."""
    told, done = threading.Event(), threading.Event()

    def listen(*_: object) -> None:
        told.set()
        done.wait(PATIENCE)

    monkeypatch.setattr(handler_module, "_SILENCE", 0.01)
    monkeypatch.setattr(handler_module, "report_waiting", listen)
    monkeypatch.setattr(handler_module.DynamicRendezvousHandler, "_patience", 1.0)
    first, second = (nodes.node(2, 2) for _ in range(2))
    asked = nodes.ask(first)
    assert told.wait(PATIENCE)
    monkeypatch.undo()
    asked += nodes.ask(second)
    try:
        assert {future.result(PATIENCE).world_size for future in asked} == {2}
    finally:
        done.set()
