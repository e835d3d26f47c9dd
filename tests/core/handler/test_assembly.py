"""What becomes of each argument and option."""

import os
import socket
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import DynamicRendezvousHandler, RendezvousParameters, RendezvousTimeout
from rendezvous_core.dynamic import assembly
from rendezvous_core.dynamic.assembly import agreed
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.dynamic.launchers import RANK_VARIABLES, find_job
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.limits import MAX_NODES
from rendezvous_core.ports.settings import RendezvousSettings
from rendezvous_core.records.ledger import PAGE
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Timing
from rendezvous_core.sealing import keys
from rendezvous_core.sealing.backend import SealedBackend, seal_backend
from rendezvous_core.sealing.keys import keyring_of
from rendezvous_core.sealing.store import SealedStore
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from tests.core.handler.groups import Register
from tests.core.handler.lone import member

SECRET = "a secret of these tests"

TIMEOUTS = ("join", "last_call", "close", "heartbeat")


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (keys.SECRET_VARIABLE, keys.FILE_VARIABLE, *RANK_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def handler(**options: Any) -> DynamicRendezvousHandler:
    server = MemoryServer()
    given: dict[str, Any] = {"run_id": "run", "store": MemoryStore(server), "min_nodes": 2, "max_nodes": 6}
    given["backend"] = MemoryBackend(server, "run")
    return DynamicRendezvousHandler.from_backend(**given | options)


def created(**options: Any) -> DynamicRendezvousHandler:
    server = MemoryServer()
    params = RendezvousParameters("memory", "", "run", 2, 6, **options)
    return create_handler(MemoryStore(server), MemoryBackend(server, "run"), params)


def times(handler: DynamicRendezvousHandler) -> list[float]:
    timeout = handler.settings.timeout
    return [getattr(timeout, name).total_seconds() for name in TIMEOUTS]


def choices(handler: DynamicRendezvousHandler) -> tuple[object, ...]:
    it: RendezvousSettings = handler.settings
    numbers = (it.run_id, it.min_nodes, it.max_nodes, it.keep_alive_interval, it.keep_alive_max_attempt)
    return (*numbers, it.last_call, it.admit_newcomers, it.nodes_multiple_of)


def test_what_is_not_given_is_as_the_documentation_says() -> None:
    expected = ("run", 2, 6, timedelta(seconds=5), 3, "expected", "at_once", 1)
    for it in (handler(), created()):
        assert choices(it) == expected
        assert times(it) == [600, 30, 30, 5]
        node = it._driver.node
        assert it.address == node.member.address == address_towards(None).address
        assert (node.member.rank_hint, node.member.metadata, node.member.dead_after) == (None, {}, 15)
        assert (node.member.host, node.member.pid) == (socket.gethostname(), os.getpid())
        assert node._timing == Timing(5.0, 3, 30.0)
        assert (node._page, node._reopens, node._has_id, node._run) == (PAGE, False, True, "run")
        assert node._settings == Settings(2, 6, 1, "expected", "at_once", "")
        assert it._driver._performer._heartbeat_timeout == 5
        assert not isinstance(it._backend, SealedBackend)


METADATA: Mapping[str, str] = {"place": "rack1/host2"}


def check_given(it: DynamicRendezvousHandler) -> None:
    assert choices(it) == ("run", 2, 6, timedelta(seconds=2), 4, "wait", 2.5, 2)
    assert times(it) == [11, 12, 13, 14]
    node = it._driver.node
    assert it.address == node.member.address == "10.0.0.9"
    assert (node.member.rank_hint, node.member.metadata, node.member.dead_after) == (5, METADATA, 8)
    assert node._timing == Timing(2.0, 4, 12.0)
    assert (node._reopens, node._has_id) == (True, True)
    assert node._settings == Settings(2, 6, 2, "wait", 2.5)
    assert it._driver._performer._heartbeat_timeout == 14
    assert isinstance(it._backend, SealedBackend)


def test_what_is_given_to_from_backend_is_taken() -> None:
    timeout = RendezvousTimeout(*(timedelta(seconds=each) for each in (11, 12, 13, 14)))
    check_given(
        handler(
            local_addr="10.0.0.9",
            timeout=timeout,
            keep_alive_interval=2,
            keep_alive_max_attempt=4,
            metadata=METADATA,
            last_call="wait",
            admit_newcomers=2.5,
            nodes_multiple_of=2,
            rank_hint=5,
            secret=SECRET,
            reopen=True,
        )
    )


def test_the_order_of_arguments_is_torchs() -> None:
    server = MemoryServer()
    parts = (MemoryStore(server), MemoryBackend(server, "run"))
    it = DynamicRendezvousHandler.from_backend(
        "run", *parts, 2, 6, "10.0.0.9", RendezvousTimeout(join=timedelta(seconds=7)), 2, 4, METADATA
    )
    assert choices(it)[:5] == ("run", 2, 6, timedelta(seconds=2), 4)
    assert (times(it)[0], it.address) == (7, "10.0.0.9")
    assert it._driver.node.member.metadata == METADATA


def test_what_is_given_as_options_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RANK_VARIABLES[0], "3")
    timeouts = {f"{name}_timeout": number for name, number in zip(TIMEOUTS, range(11, 15), strict=True)}
    it = created(
        local_addr="10.0.0.9",
        keep_alive_interval="2",
        keep_alive_max_attempt="4",
        metadata="place=rack1/host2",
        last_call="wait",
        admit_newcomers="2.5",
        nodes_multiple_of="2",
        rank_hint="5",
        secret=SECRET,
        reopen="true",
        **timeouts,
    )
    check_given(it)
    assert isinstance(it._store, MemoryStore), "the store's values are not sealed"
    assert created()._driver.node.member.rank_hint == 3
    monkeypatch.setattr(sys, "argv", ["torchrun", "--node-rank=4", "train.py"])
    assert created()._driver.node.member.rank_hint == 4
    assert isinstance(created(secret=SECRET, seal_store="true")._store, SealedStore)


def test_a_secret_may_be_in_a_file_or_the_backend_be_sealed_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    assert isinstance(handler(secret_file=str(path))._backend, SealedBackend)
    ring = keyring_of(SECRET, None)
    assert ring is not None
    sealed = seal_backend(MemoryBackend(MemoryServer(), "run"), ring, "run")
    monkeypatch.setenv(keys.SECRET_VARIABLE, "short")
    assert handler(backend=sealed)._backend is sealed


@pytest.mark.parametrize("secret", [None, SECRET])
def test_over_a_bare_register_the_ledger_is_not_kept_apart(secret: str | None) -> None:
    it = handler(backend=Register(MemoryServer(), "run"), secret=secret)
    assert it._driver.node._page == MAX_NODES


def test_a_run_without_an_id_begins_anew_and_is_of_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["torchrun", "train.py"])
    server = MemoryServer()
    it = handler(run_id="none", backend=MemoryBackend(server, "none"))
    node = it._driver.node
    assert (node._reopens, node._has_id) == (True, False)
    assert node._settings.job == find_job(sys.argv) != ""
    assert agreed(it.settings).job == ""
    assert handler()._driver.node._settings.job == ""


def test_each_node_has_a_name_of_its_own() -> None:
    names = {handler().node_id for _ in range(3)}
    assert len(names) == 3
    assert {len(name) for name in names} == {16}


def test_events_and_the_history_are_of_the_run() -> None:
    it = handler(run_id="mine", backend=MemoryBackend(MemoryServer(), "mine"))
    reporter = it._driver._reporter
    assert (reporter._run_id, reporter._recorder._key) == ("mine", "rendezvous/mine/history")
    assert it._driver._performer._ledgers._prefix == "rendezvous/mine/ledger"
    assert reporter._recorder._store is it._store
    sealed = handler(secret=SECRET)._driver
    assert isinstance(sealed._reporter._recorder._store, SealedStore)
    assert isinstance(sealed._performer._ledgers._store, SealedStore)


def test_a_rank_policy_goes_before_core(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = handler()._driver.node.coordinator._ranks
    members, previous = [member("a"), member("b")], ["b", "c"]
    asked: list[object] = []
    answers = iter([["b", "a"], None])

    def assign(*arguments: object) -> list[str] | None:
        asked.append(arguments)
        return next(answers)

    monkeypatch.setattr(assembly, "assign_ranks", assign)
    monkeypatch.setattr(assembly, "rank", lambda *arguments: ["core", *arguments])
    assert ranks(members, previous) == ["b", "a"]
    assert ranks(members, previous) == ["core", members, previous]
    assert asked == [(members, previous)] * 2
