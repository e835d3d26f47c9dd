"""The invariants that production asserts: each flaw is found, is cheap to look for, and writes nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rendezvous_core import RendezvousStateError
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol import coordinator
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import List, Steps, Write
from rendezvous_core.records.changes import close
from rendezvous_core.records.invariants import TRANSITIONS, check_state, check_step
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.records.terms import Terms, Timing

CONCEPTS = Path(__file__).parents[2] / "docs" / "concepts.md"
SETTINGS = Settings(2, 4)
BEFORE = State(run="run", settings=SETTINGS, serial=5, coordinator="a", term="t", lease=3.0)
ROSTER = (Seat("a", 1, 3.0), Seat("b", 1, 3.0), Seat("c", 2, 3.0))
ROUND = replace(BEFORE, serial=6, phase="complete", round_id="r0", roster=ROSTER)
SPENT = {"a": 1, "b": 1, "c": 2}
NEXT = replace(ROUND, serial=7, phase="joining", round=1, spent=SPENT)
CLOSED = replace(ROUND, serial=8, phase="closed")

BREAKS = "The state of the rendezvous breaks an invariant:"
REPORT = (
    "please report this as a defect of rendezvous-core, "
    "with this message and the releases that all nodes run."
)


def test_the_diagram_shows_the_transitions() -> None:
    drawn = re.search(r"stateDiagram-v2\n(.*?)```", CONCEPTS.read_text(), flags=re.DOTALL)
    assert drawn is not None
    expected = ["[*] --> joining: the first node asks"]
    expected += [f"{former} --> {later}: {reason}" for (former, later), reason in TRANSITIONS.items()]
    expected += ["closed --> [*]"]
    assert [line.strip() for line in drawn[1].splitlines()] == expected


@pytest.mark.parametrize("state", [BEFORE, ROUND, NEXT, CLOSED])
def test_sound_states_pass(state: State) -> None:
    check_state(state)


@pytest.mark.parametrize(
    ("state", "changes", "flaw"),
    [
        (BEFORE, {"settings": Settings(3, 2)}, "its settings .* are impossible"),
        (BEFORE, {"settings": Settings(0, 2)}, "its settings .* are impossible"),
        (ROUND, {"roster": (*ROSTER, ROSTER[0])}, "a node has two ranks"),
        (ROUND, {"round_id": ""}, "a round without participants, or participants without a round"),
        (ROUND, {"roster": ()}, "a round without participants, or participants without a round"),
        (ROUND, {"gone": {"z": "lost"}}, "a node is gone that was never in"),
        (ROUND, {"last_call": "x"}, "a last call while complete"),
        (ROUND, {"gone": dict.fromkeys("abc", "left")}, "a round is complete in which nobody is active"),
        (ROUND, {"spent": {"c": 2}}, "the active participant c has spent its ticket 2"),
        (NEXT, {"knock": "x"}, "newcomers gather while joining"),
        (NEXT, {"waiting": 1}, "1 wait for the round after one that is joining"),
        (NEXT, {"gone": {"a": "lost"}}, "nodes are gone from a round that is over"),
        (CLOSED, {"last_call": "x"}, "a last call while closed"),
    ],
)
def test_unsound_states_are_told(state: State, changes: dict[str, Any], flaw: str) -> None:
    with pytest.raises(
        RendezvousStateError, match=f"^{BREAKS} {flaw}. Use a new run id to go on, and {REPORT}$"
    ):
        check_state(replace(state, **changes))


@pytest.mark.parametrize(
    ("old", "new", "changes", "flaw"),
    [
        (BEFORE, BEFORE, {"run": "other", "serial": 6}, "the run 'run' became the run 'other'"),
        (CLOSED, ROUND, {"serial": 9}, "closed became complete"),
        (BEFORE, BEFORE, {}, "the state went back from .* to .*"),
        (NEXT, ROUND, {"serial": 9, "spent": {}}, "the state went back from .* to .*"),
        (ROUND, NEXT, {"serial": 6}, "the state went back from .* to .*"),
        (
            replace(CLOSED, reopened=2),
            NEXT,
            {"serial": 9, "reopened": 4},
            "closed became joining as the run was reopened 2 times",
        ),
        (NEXT, NEXT, {"serial": 8, "settings": Settings(1, 4)}, "the settings changed within a term"),
        (NEXT, NEXT, {"serial": 8, "spent": SPENT | {"c": 1}}, "the spent ticket 2 of c came back"),
        (NEXT, NEXT, {"serial": 8, "spent": {"b": 1, "c": 2}}, "the spent ticket 1 of a came back"),
        (NEXT, NEXT, {"serial": 8, "spent": {"a": 1, "b": 1}}, "the spent ticket 2 of c came back"),
        (
            NEXT,
            NEXT,
            {"serial": 8, "spent": SPENT | {"c": 1}, "term": "u"},
            "the spent ticket 2 of c came back",
        ),
        (ROUND, ROUND, {"serial": 7, "roster": ROSTER[:2]}, "the roster of round 0 changed"),
        (
            replace(ROUND, gone={"a": "lost"}),
            ROUND,
            {"serial": 7},
            "somebody who was gone is back in round 0",
        ),
        (ROUND, NEXT, {"spent": {"a": 1, "b": 1}}, "round 0 is over, but c keeps its ticket 2"),
        (
            ROUND,
            ROUND,
            {"serial": 7, "round": 1, "round_id": "r1"},
            "round 0 is over, but a keeps its ticket 1",
        ),
        (NEXT, NEXT, {"serial": 8, "round_id": "r1"}, "a round has formed while joining"),
        (BEFORE, ROUND, {"roster": ROSTER[:1]}, "1 nodes are in a round of .*"),
    ],
)
def test_steps_that_no_node_may_take_are_told(
    old: State, new: State, changes: dict[str, Any], flaw: str
) -> None:
    with pytest.raises(RendezvousStateError, match=f"^{BREAKS} {flaw}. Nothing was written, and {REPORT}$"):
        check_step(old, replace(new, **changes))


def test_a_new_term_may_forget_tickets_and_change_settings() -> None:
    check_step(NEXT, replace(NEXT, serial=8, term="u", spent={}, settings=Settings(1, 1)))
    check_step(replace(NEXT, spent={}), replace(ROUND, serial=8, round=1, round_id="r1"))


def test_a_run_is_reopened_once_at_a_time() -> None:
    check_step(replace(CLOSED, reopened=2), replace(NEXT, serial=9, reopened=3))


def serve(steps: Steps, written: list[State]) -> None:
    """Be a backend that is empty at first."""
    answer: Any = None
    while True:
        match steps.send(answer):
            case Write(state, _):
                written.append(state)
                answer = (state, 1, True)
            case List():
                answer = ({}, 0)
            case _:
                answer = None


def test_what_breaks_an_invariant_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision that is wrong ends its node, not the group."""

    def wrong(state: State, *_: Any, **__: Any) -> State:
        return replace(close(state), phase="complete")

    monkeypatch.setattr(coordinator, "decide", wrong)
    member = Member(node="a", address="", pid=1, dead_after=3.0)
    node = Node(member, Terms("run", SETTINGS, Timing(), keep_ranks), lambda: "id")
    node.ask()
    written: list[State] = []
    with pytest.raises(RendezvousStateError, match="Nothing was written"):
        serve(node.live(), written)
    assert [state.phase for state in written] == ["joining"], "its claim, and nothing else"
