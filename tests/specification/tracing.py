"""A run as the specification reads it: what users did and what was decided, in order, as numbers."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rendezvous_core.dynamic.history import Happening
from rendezvous_core.protocol.node import Joined
from rendezvous_core.records.state import State

ASK, QUIT, STOP, GO, CLAIM, DEPART, ROUND, CLOSED, RETURN = range(9)
_INTENTS = {"cancel": 1, "leave": 2, "done": 3}
_REASONS = {None: 0, "left": 1, "again": 1, "lost": 2, "done": 3}
UNKNOWN, OUT = 255, 254


class Event(NamedTuple):
    """One line of what the specification reads: which it is, about whom, and what is known of it."""

    kind: int
    who: int = 0
    what: int = 0
    round: int = 0
    size: int = 0
    ranks: Sequence[int] = ()
    again: bool = False
    """Whether that node is known to have asked again."""


class Trace(NamedTuple):
    """A recorded run."""

    nodes: int
    events: tuple[Event, ...]
    watched: frozenset[int] = frozenset(range(9))
    """The kinds of events of which none is missing."""

    def lines(self) -> Iterable[Sequence[int]]:
        """What the specification reads."""
        departures = [event for event in self.events if event.kind == DEPART]
        asks = [1 + sum(event.who == node for event in departures) for node in range(self.nodes)]
        quits = sum({1 << event.who for event in departures if event.what in (0, 1, 3) and not event.again})
        stops = sum({1 << event.who for event in departures if event.what in (0, 2)})
        yield [*asks, quits, stops, *(int(kind in self.watched) for kind in range(9))]
        for event in self.events:
            yield [*event[:5], *(event.ranks or [OUT] * self.nodes)]


def of_simulation(notes: Iterable[tuple[float, tuple[Any, ...]]], names: Sequence[str]) -> Trace:
    """The trace of a simulated world in which nothing was lost for good, and nobody drained or reopened."""
    number = {name: index for index, name in enumerate(names)}
    events: list[Event] = []
    state: State | None = None
    for _, parts in notes:
        match parts:
            case (str(name), "asks"):
                events.append(Event(ASK, number[name]))
            case (str(name), "crashes" | "pauses"):
                events.append(Event(STOP, number[name]))
            case (str(name), "resumes"):
                events.append(Event(GO, number[name]))
            case (str(name), str(wish)) if wish.startswith("wants to "):
                events.append(Event(QUIT, number[name], _INTENTS[wish.split()[-1]]))
            case (str(name), "gets", Joined(round=at, rank=rank, world_size=size)):
                events.append(Event(RETURN, number[name], rank, at, size))
            case (str(), "writes", State() as written):
                events += _of_write(state, written, number)
                state = written
    return Trace(len(names), tuple(events))


def _of_write(old: State | None, new: State, number: dict[str, int]) -> Iterable[Event]:
    former = old.coordinator if old else None
    if new.coordinator not in (None, former) and (old is None or new.term != old.term):
        assert new.coordinator is not None
        yield Event(CLAIM, number[new.coordinator])
    goes_on = old is not None and (old.round_id, "complete") == (new.round_id, new.phase)
    for seat in old.active() if old else ():
        if new.phase == "closed":
            # All were done, or somebody closed the run, which says nothing of them.
            if seat.node in new.gone:
                yield Event(DEPART, number[seat.node], _REASONS[new.gone[seat.node]])
        elif not goes_on or seat.node in new.gone:
            yield Event(DEPART, number[seat.node], _REASONS[new.gone[seat.node] if goes_on else None])
    if new.phase == "closed" and (old is None or old.phase != "closed"):
        yield Event(CLOSED)
    if new.phase == "complete" and (old is None or old.round_id != new.round_id):
        ranks = [OUT] * len(number)
        for rank, seat in enumerate(new.roster):
            ranks[number[seat.node]] = rank
        yield Event(ROUND, 0, 0, new.round, len(new.roster), ranks)


def of_history(history: Iterable[Happening]) -> Trace:
    """The trace of a real run, of whose users and followers nothing was recorded."""
    events: list[Event] = []
    names: dict[str, int] = {}
    happened = list(history)
    for event in happened:
        for node in event.nodes:
            names.setdefault(node.node, len(names))
    for event in happened:
        who = [names[node.node] for node in event.nodes]
        match event.kind:
            case "began" | "coordinates":
                events.append(Event(CLAIM, who[0]))
            case "departed":
                again = event.reason == "again"
                events += [Event(DEPART, each, _REASONS[event.reason], again=again) for each in who]
            case "formed":
                ranks = [UNKNOWN] * len(names)
                for each, node in zip(who, event.nodes, strict=True):
                    assert node.rank is not None
                    ranks[each] = node.rank
                assert event.world_size is not None
                events.append(Event(ROUND, 0, 0, event.round, event.world_size, ranks))
            case "called" | "reconnected" | "closed":
                pass
            case other:
                raise ValueError(f"The specification knows nothing of what is {other}.")
    return Trace(len(names), tuple(events), frozenset((CLAIM, DEPART, ROUND)))
