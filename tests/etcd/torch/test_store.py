"""torch's EtcdStore and ours, on the same keys."""

from datetime import timedelta
from typing import Any

import pytest

from rendezvous_core.testing.suites.threads import is_blocked, start
from rendezvous_etcd import EtcdServer, EtcdStore
from tests.etcd.torch.nodes import torch_store

PATIENCE = 30.0


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return f"/stores/{request.node.name}"


@pytest.fixture
def ours(server: EtcdServer, prefix: str) -> EtcdStore:
    return EtcdStore(server.get_client(), prefix, timedelta(seconds=PATIENCE))


@pytest.fixture
def theirs(server: EtcdServer, prefix: str) -> Any:
    return torch_store(server.get_client(), prefix, timedelta(seconds=PATIENCE))


@pytest.mark.parametrize("value", [b"", b"value", bytes(range(256))], ids=len)
def test_each_reads_what_the_other_wrote(ours: EtcdStore, theirs: Any, value: bytes) -> None:
    ours.set("ours/key", value)
    assert theirs.get("ours/key") == value
    theirs.set("their/key", value)
    assert ours.get("their/key") == value
    assert sorted(ours.list_keys()) == ["ours/key", "their/key"]
    assert theirs.check(["ours/key", "their/key"])
    assert ours.check(["ours/key", "their/key"])


def test_each_adds_to_the_number_of_the_other(ours: EtcdStore, theirs: Any) -> None:
    assert ours.add("number", 1) == 1
    assert theirs.add("number", 10) == 11
    assert ours.add("number", 100) == 111
    assert theirs.get("number") == ours.get("number") == b"111"


def test_each_waits_for_the_other(ours: EtcdStore, theirs: Any) -> None:
    waiting, reading = start(theirs.wait, ["one"]), start(ours.get, "two")
    assert is_blocked(reading, 0.1)
    ours.set("one", b"1")
    waiting.result(PATIENCE)
    theirs.set("two", b"2")
    assert reading.result(PATIENCE) == b"2"


def test_what_theirs_lacks_is_seen_by_it(ours: EtcdStore, theirs: Any) -> None:
    theirs.set("key", b"old")
    assert ours.compare_set("key", b"old", b"new") == b"new"
    ours.append("key", b"er")
    assert theirs.get("key") == b"newer"
    assert ours.num_keys() == 1
    assert ours.delete_key("key")
    assert not theirs.check(["key"])
