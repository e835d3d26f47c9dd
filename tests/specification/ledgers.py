"""What a simulated run does with its ledgers, as the specification of Rule 24 reads it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rendezvous_core.protocol.node import Joined
from rendezvous_core.protocol.operations import Drop, Fetch, File, Operation
from rendezvous_core.records.state import State
from tests.simulation.machine import Machine
from tests.simulation.world import World

STORE, STATE, LOOK, DROP, RETURN, LOSS, OBLIVION = range(7)
PAGES = 2
"""So many has each ledger."""


class Event(NamedTuple):
    """One line of what the specification reads."""

    kind: int
    who: int = 0
    what: int = 0
    """The ledger; in which round a node returns, its first one; which pages a loss leaves."""
    which: int = 0
    """The page; the pages of a look; of a state the first ledger of the round that runs, or 0."""
    many: int = 0
    """Whether a look found all; who coordinates."""


class LedgerTrace(NamedTuple):
    """A recorded run."""

    pages: Sequence[int]
    """On which page each node is."""
    events: tuple[Event, ...]

    def lines(self) -> Iterable[Sequence[int]]:
        """What the specification reads: with each event also which ledger every node stores next."""
        nodes = range(len(self.pages))
        coming, lines = [0 for _ in nodes], []
        for event in reversed(self.events):
            if event.kind == STORE:
                coming[event.who] = event.what
            lines.append([*event, *coming])
        return [self.pages, *reversed(lines)]


def watch(world: World) -> None:
    """Have a world note what is done with ledgers."""
    apply = world.backend.apply

    def noted(operation: Operation, machine: Machine, sent: float | None = None) -> Any:
        answer = apply(operation, machine, sent)
        if isinstance(operation, File | Fetch | Drop):
            world.note(machine.name, operation, answer)
        return answer

    world.backend.apply = noted  # type: ignore[method-assign]


class _Numbers(dict[str, int]):
    """Numbers what has names, in the order in which they come."""

    def __missing__(self, name: str) -> int:
        self[name] = len(self) + 1
        return self[name]


def of_simulation(notes: Iterable[tuple[float, tuple[Any, ...]]], names: Sequence[str]) -> LedgerTrace:
    """The trace of a watched world in which nobody closed or reopened the run."""
    number = {name: index for index, name in enumerate(names)}
    ledgers, firsts, pages = _Numbers(), dict[str, int](), dict[str, int]()
    events: list[Event] = []
    stands: Event | None = None
    for _, parts in notes:
        match parts:
            case (str(name), File(ledger, filed), _):
                assert len(filed) == PAGES
                for index, page in enumerate(filed):
                    assert all(pages.setdefault(node, index) == index for node in page)
                    events.append(Event(STORE, number[name], ledgers[ledger], index))
            case (str(name), Fetch(ledger, looked_at), found):
                mask = sum(1 << index for index in looked_at)
                events.append(Event(LOOK, number[name], ledgers[ledger], mask, int(found is not None)))
            case (str(name), Drop(ledger, _), _):
                events.append(Event(DROP, number[name], ledgers[ledger]))
            case (str(name), "writes", State() as state):
                named = ledgers[state.apart.id] if state.apart else 0
                first = firsts.setdefault(state.round_id, named) if state.round_id else 0
                leads = len(names) if state.coordinator is None else number[state.coordinator]
                event = Event(STATE, number[name], named, first, leads)
                if stands is None or event[2:] != stands[2:]:
                    events.append(event)
                stands = event
            case (str(name), "gets", Joined(round_id=round_id)):
                events.append(Event(RETURN, number[name], firsts[round_id]))
            case ("ledger lost", *left):
                events.append(Event(LOSS, 0, sum(1 << page for page in left)))
            case ("rolled back to", None, _):
                events += [Event(LOSS), Event(OBLIVION)]
                stands = None
    return LedgerTrace([pages[name] for name in names], tuple(events))
