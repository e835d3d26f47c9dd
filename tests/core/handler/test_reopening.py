"""A run id that is used again: refused with the remedies, or begun anew; and jobs without an id."""

import sys

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousClosedError,
    RendezvousInfo,
    RendezvousStateError,
)
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import start

PATIENCE = 60.0


def node(server: MemoryServer, run_id: str, nodes: int = 1, **options: object) -> DynamicRendezvousHandler:
    return DynamicRendezvousHandler.from_backend(
        run_id,
        MemoryStore(server, run_id),
        MemoryBackend(server, run_id),
        nodes,
        nodes,
        "127.0.0.1",
        **{"keep_alive_interval": 0.5, **options},  # type: ignore[arg-type]
    )


def work(*handlers: DynamicRendezvousHandler) -> list[RendezvousInfo]:
    """Meet, and finish as torchrun's agents do."""
    infos = [each.result(PATIENCE) for each in [start(handler.next_rendezvous) for handler in handlers]]
    for handler in handlers:
        assert handler.shutdown()
    return infos


def test_a_closed_run_names_the_remedies() -> None:
    server = MemoryServer()
    work(node(server, "my job"))
    with pytest.raises(RendezvousClosedError) as caught:
        node(server, "my job").next_rendezvous()
    for remedy in ("another", "rdzv delete --run-id 'my job'", "reopen=true"):
        assert remedy in str(caught.value)


@pytest.mark.parametrize(("run_id", "options"), [("job", {"reopen": True}), ("none", {})])
def test_the_same_command_works_again_and_again(run_id: str, options: dict[str, bool]) -> None:
    server = MemoryServer()
    for _ in range(3):
        handlers = [node(server, run_id, 2, **options) for _ in range(2)]
        infos = work(*handlers)
        assert sorted(info.rank for info in infos) == [0, 1]
        assert all(handler.is_closed() for handler in handlers)
        assert not infos[0].store.check(["key"]), "the store of a job before"
        infos[0].store.set("key", b"value")


def test_who_was_in_the_closed_run_is_left_alone() -> None:
    """Also where the next job has begun before the last one of this has ended."""
    server = MemoryServer()
    slow, quick = node(server, "job", 2), node(server, "job", 2)
    for each in [start(slow.next_rendezvous), start(quick.next_rendezvous)]:
        each.result(PATIENCE)
    quick.shutdown()
    again = node(server, "job", 1, reopen=True)
    assert again.next_rendezvous().world_size == 1
    assert not slow.wait_for_membership_change(0.5)
    assert slow.is_closed()
    with pytest.raises(RendezvousClosedError):
        slow.next_rendezvous()
    slow.shutdown()
    assert not again.is_closed()
    again.shutdown()


def test_two_jobs_without_an_id_at_once_are_told() -> None:
    server = MemoryServer()
    first = node(server, "none")
    first.next_rendezvous()
    with pytest.raises(RendezvousStateError, match="--rdzv-id"):
        node(server, "none").next_rendezvous()
    assert first.num_nodes_waiting() == 0
    second = node(server, "none")
    asked = start(second.next_rendezvous)
    assert not second.is_closed()
    first.shutdown()
    # It came before the first one ended, or after that.
    error = asked.exception(PATIENCE)
    assert error is None or "--rdzv-id" in str(error)


def test_jobs_without_an_id_that_run_something_else_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the group disturbed, which is not full; nodes of one job meet as ever."""
    server = MemoryServer()

    def started(*words: str) -> DynamicRendezvousHandler:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/torchrun", *words])
        return node(server, "none", 2)

    first = started("--node-rank=0", "train.py", "--lr=1")
    asked = start(first.next_rendezvous)
    assert MemoryBackend(server, "none").wait_for_change(None, PATIENCE)  # it was there first
    with pytest.raises(RendezvousStateError, match=r"another command .*--rdzv-id"):
        started("train.py", "--lr=2").next_rendezvous()
    second = started("--node-rank=1", "train.py", "--lr=1")
    assert second.next_rendezvous().world_size == asked.result(PATIENCE).world_size == 2
    first.shutdown()
    second.shutdown()
    work(*[started("other.py") for _ in range(2)])
