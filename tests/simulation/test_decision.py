"""The decisions by themselves: whatever members do in whatever order, the state stays sound."""

import itertools
from typing import Any

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.decision import Over, Sight, decide
from rendezvous_core.records.changes import close
from rendezvous_core.records.invariants import check_state, check_step
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.state import Settings, State

NODES = [f"n{number}" for number in range(7)]
OVER = st.builds(Over, st.booleans(), st.booleans(), st.booleans())
AGREED = st.fixed_dictionaries(
    {
        "nodes_multiple_of": st.integers(1, 3),
        "last_call": st.sampled_from(["expected", "wait"]),
        "admit_newcomers": st.sampled_from(["at_once", "next_round", 2.0]),
    }
)


def member(name: str, **fields: Any) -> Member:
    return Member(node=name, address="", pid=1, dead_after=3.0, **fields)


class Decisions(RuleBasedStateMachine):
    """One state, decided upon again and again while its members come, go and die."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = (f"id{number}" for number in itertools.count())
        self.members: dict[str, Member] = {}
        self.dead: set[str] = set()
        self.doubtful: set[str] = set()
        self.rosters: dict[str, State] = {}

    @initialize(least=st.integers(1, 3), more=st.integers(0, 3), agreed=AGREED)
    def begin(self, least: int, more: int, agreed: dict[str, Any]) -> None:
        self.state = State(run="run", settings=Settings(least, least + more, **agreed))
        assume(self.state.settings.least <= self.state.settings.most)

    def change(self, state: State) -> None:
        old, self.state = self.state, state
        check_step(old, state)
        if state.round_id == old.round_id:
            return
        assert state.round_id not in self.rosters
        self.rosters[state.round_id] = state
        for seat in state.roster:
            asked = self.members[seat.node]
            assert (asked.ticket, asked.intent) == (seat.ticket, "join"), "only who asks is admitted"
            assert seat.node not in self.dead | self.doubtful, "only the living are admitted"
        for seat in old.active():
            now = self.members[seat.node]
            assert seat.node in self.dead or now.ticket > seat.ticket or now.intent in ("leave", "done")

    @rule(name=st.sampled_from(NODES))
    def ask(self, name: str) -> None:
        former = self.members.get(name, member(name))
        self.members[name] = replace(former, ticket=former.ticket + 1, intent="join", asked=self.state.serial)
        self.dead.discard(name)

    @rule(name=st.sampled_from(NODES), intent=st.sampled_from(["cancel", "leave", "done"]))
    def quit(self, name: str, intent: Intent) -> None:
        if name in self.members:
            self.members[name] = replace(self.members[name], intent=intent)

    @rule(name=st.sampled_from(NODES))
    def die(self, name: str) -> None:
        if name in self.members:
            self.dead.add(name)

    @rule(names=st.sets(st.sampled_from(NODES)))
    def take_over(self, names: set[str]) -> None:
        """Some have not proved themselves alive to the new coordinator."""
        self.doubtful = names

    @rule(over=OVER, missing=st.sets(st.sampled_from(NODES), max_size=1))
    def decide(self, over: Over, missing: set[str]) -> None:
        sight = Sight(
            members={name: each for name, each in self.members.items() if name not in missing},
            fresh=self.members.keys() - self.dead - self.doubtful - missing,
            dead=self.dead,
        )
        options: dict[str, Any] = {"new_id": lambda: next(self.ids), "ranks": keep_ranks}
        decided = decide(self.state, sight, over, **options)
        if decided != self.state:
            self.change(replace(decided, serial=self.state.serial + 1))
        assert self.state.waiting <= len(sight.fresh)

    @rule(chance=st.integers(0, 9))
    def close(self, chance: int) -> None:
        if chance == 0 and self.state.phase != "closed":
            self.change(replace(close(self.state), serial=self.state.serial + 1))

    @invariant()
    def sound(self) -> None:
        if not hasattr(self, "state"):
            return
        check_state(self.state)


Decisions.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestDecisions = Decisions.TestCase
