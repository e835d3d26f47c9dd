"""What the user of a node is told, word by word: who reads it acts by it."""

from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousClosedError, RendezvousGracefulExitError, RendezvousStateError
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import List, Operation, Read, Remove, Wait
from rendezvous_core.records.state import Settings, State
from tests.simulation.test_details import SETTINGS, node, running

NO_ID = " All jobs that are started without an id meet in it: give each its own (torchrun: --rdzv-id)."


DIFFER = (
    "This node's settings differ from those of the running group of 'run': max_nodes is 4 here and 3 there."
)

ANSWERS: dict[type[Operation], Any] = {Wait: True, List: ({}, 1)}


class Shown:
    """A node that lives, and sees one state after the other."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._steps = node.live()
        assert next(self._steps) == Read()

    def see(self, state: State, at: float = 0.0) -> None:
        """Let the node see ``state``, when its clock shows this."""
        self.node.now = at
        operation: Operation = self._steps.send((state, object()))
        while type(operation) not in (Read, Remove):
            operation = self._steps.send(ANSWERS.get(type(operation)))

    @property
    def told(self) -> object:
        """What its user is told."""
        return self.node.outcome


def asker(settings: Settings = SETTINGS, **options: Any) -> Shown:
    return Shown(node(settings=settings, **options))


@pytest.mark.parametrize(
    ("has_id", "settings", "problem"),
    [
        (
            True,
            Settings(2, 4, job="x"),
            f"{DIFFER} Start all nodes of a run with the same settings.",
        ),
        (
            False,
            Settings(2, 4),
            f"{DIFFER} Start all nodes of a run with the same settings.{NO_ID}",
        ),
        (
            True,
            Settings(2, 3, job="x"),
            "Another job is in the run 'run': its nodes were started with another command than this one."
            f"{NO_ID} So are nodes of one job whose commands differ: give all of them the same.",
        ),
    ],
)
def test_node_of_other_settings_is_told_which(has_id: bool, settings: Settings, problem: str) -> None:
    """Rule 13: not before the state has moved, so that it is not that of a group which is gone."""
    stranger = asker(settings, has_id=has_id)
    stranger.see(running("b", "c"))
    assert stranger.told is None
    stranger.see(running("b", "c", serial=8))
    assert isinstance(stranger.told, RendezvousStateError)
    assert str(stranger.told) == problem


def test_settings_that_allow_no_world_size_are_named() -> None:
    """Rule 19."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        asker(Settings(3, 3, 2))
    assert str(refused.value) == (
        "No world size is a multiple of nodes_multiple_of (2) and within min_nodes (3) and max_nodes (3)."
    )


def test_who_comes_too_late_is_told_what_to_do() -> None:
    """Rule 12."""
    late = asker()
    late.see(running("b", "c", phase="closed"))
    assert isinstance(late.told, RendezvousClosedError)
    assert str(late.told) == (
        "The rendezvous 'run' is closed: no round forms under this run id any more. Choose another one, "
        "remove this run with 'rdzv delete --run-id run', or begin it anew with the option reopen=true."
    )


@pytest.mark.parametrize(
    ("has_id", "kind", "problem"),
    [
        (
            True,
            RendezvousGracefulExitError,
            "The rendezvous 'run' is closed. This node stood by as a spare and is not needed.",
        ),
        (
            False,
            RendezvousStateError,
            f"The rendezvous 'run' is closed, and this node was never in it.{NO_ID}",
        ),
    ],
)
def test_spare_is_told_that_it_is_not_needed(has_id: bool, kind: type[Exception], problem: str) -> None:
    """Rules 12 and 22."""
    spare = asker(has_id=has_id)
    spare.see(running("b", "c"))
    spare.see(running("b", "c", phase="closed", serial=8))
    assert type(spare.told) is kind
    assert str(spare.told) == problem
    assert spare.node.finished


def test_who_only_waited_for_a_round_was_no_spare() -> None:
    """Rule 12: nor did it come too late, but it is told the same."""
    waits = asker()
    waits.see(running("b", "c", phase="joining"))
    waits.see(running("b", "c", phase="closed", serial=8))
    assert isinstance(waits.told, RendezvousClosedError)


def test_run_that_others_reopened_is_closed_to_those_who_saw_it_open() -> None:
    """Rule 21."""
    inside = asker()
    inside.see(running("a", "b"))
    inside.see(running("a", "b", serial=8))
    assert not inside.node.is_closed
    inside.see(State(run="run", settings=SETTINGS, serial=20, reopened=1))
    assert inside.node.is_closed


def test_nobody_else_is_told_that_all_places_are_taken() -> None:
    """Rule 22: neither who is in, nor a spare of a run that its users gave an id."""
    inside, spare, admitted = asker(has_id=False), asker(), asker(has_id=False)
    full = running("b", "c", "d")
    admitted.see(full)
    for serial in range(8, 12):
        now = 4.0 * serial
        inside.see(running("a", "b", "c", serial=serial), now)
        spare.see(replace(full, serial=serial), now)
        admitted.see(running("a", "b", "c", serial=serial, round=1, round_id="next"), now)
    assert spare.told is None
    assert isinstance(inside.told, Joined)
    assert isinstance(admitted.told, Joined)
    assert not inside.node.finished
    assert not admitted.node.finished


def test_node_without_an_id_is_told_that_all_places_are_taken() -> None:
    """Rule 22: once a dead participant would have been found, and not before."""
    stranger = asker(has_id=False)
    full = running("b", "c", "d", lease=2.0)
    for serial, now in enumerate((0.0, 1.0, 4.5), 8):
        stranger.see(replace(full, serial=serial), now)
        assert stranger.told is None
    stranger.see(replace(full, serial=20), 4.75)
    assert isinstance(stranger.told, RendezvousStateError)
    assert str(stranger.told) == f"All places in the run 'run' are taken.{NO_ID}"


@pytest.mark.parametrize(
    "changes",
    [{"gone": {"d": "done"}, "spent": {"d": 1}}, {"term": "another"}],
    ids=["a place was free", "another one coordinates"],
)
def test_wait_for_a_place_begins_anew(changes: dict[str, Any]) -> None:
    """Rule 22."""
    stranger = asker(has_id=False)
    full = running("b", "c", "d")
    stranger.see(full)
    stranger.see(replace(full, serial=8, **changes), 4.0)
    after = replace(full, serial=9, term=changes.get("term", full.term), round=1, round_id="next")
    stranger.see(after, 5.0)
    stranger.see(replace(after, serial=10), 8.0)
    assert stranger.told is None
    stranger.see(replace(after, serial=11), 9.75)
    assert isinstance(stranger.told, RendezvousStateError)


def test_node_that_is_to_go_is_told_that_the_others_go_on() -> None:
    """Rule 23."""
    goer = asker()
    goer.see(running("b", "c", phase="joining", draining={"a": 5.0}))
    assert isinstance(goer.told, RendezvousGracefulExitError)
    assert str(goer.told) == "This node drains and takes no part in another round of 'run'; the others go on."
    assert goer.node.member.intent == "leave"


def test_state_of_another_run_says_what_to_separate() -> None:
    with pytest.raises(RendezvousStateError) as refused:
        asker().see(running("b", "c", run="other"))
    assert str(refused.value) == (
        "The state found for the run 'run' belongs to the run 'other': "
        "give each run a run id and a key prefix of its own."
    )
