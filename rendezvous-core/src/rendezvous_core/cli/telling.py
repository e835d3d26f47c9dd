"""The history of a run, in words."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from rendezvous_core.cli.spans import span
from rendezvous_core.dynamic.history import Happening, Named
from rendezvous_core.records.member import counted

_DEPARTED = {"lost": "lost", "left": "left", "again": "asks again", "done": "done"}


class Line(NamedTuple):
    """An event, for people."""

    at: float
    kind: str
    """What it is, for colors: the kind, or the reason of a departure."""
    text: str

    @property
    def when(self) -> str:
        """The time at the coordinator, as this machine's clock would show it."""
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.at))


def tell(events: Sequence[Happening]) -> Iterator[Line]:
    """Tell events, the oldest first."""
    known: dict[str, Named] = {}
    lost: set[str] = set()
    for event in events:
        nodes = [each if each.address else _known(each, known) for each in event.nodes]
        known.update({each.node: each for each in nodes if each.address})
        back = [each for each in nodes if event.kind == "formed" and each.node in lost]
        lost.difference_update(each.node for each in back)
        if event.reason == "lost":
            lost.update(each.node for each in nodes)
        yield Line(event.at, event.reason or event.kind, _text(event, nodes, back, known))


def _known(node: Named, known: dict[str, Named]) -> Named:
    found = known.get(node.node)
    return node if found is None else msgspec.structs.replace(found, rank=node.rank)


def _text(event: Happening, nodes: list[Named], back: list[Named], known: dict[str, Named]) -> str:
    took = None if event.took is None else span(event.took)
    who = _names(nodes, event.number)
    match event.kind:
        case "began":
            return f"the run begins with {who}"
        case "reopened":
            return f"the run begins anew with {who}"
        case "formed":
            fresh = [each for each in nodes if each not in back]
            after = f", {took} after it was called for" if took else ""
            new = f"; new: {_names(fresh, event.number - len(back))}" if fresh else ""
            again = f"; back: {_names(back, len(back))}" if back else ""
            return f"round {event.round} has {counted(event.world_size or 0)}{after}{new}{again}"
        case "called":
            return f"{event.number} waiting, which calls for a new round"
        case "drains":
            return f"to go within {took}: {who}"
        case "departed":
            silence = f", found after {took} of silence" if took else ""
            return f"{_DEPARTED[event.reason or 'left']}: {who}{silence}"
        case "coordinates":
            former = known.get(event.former or "")
            whose = str(former) if former else f"[{(event.former or '')[:8]}]"
            after = f", after {whose} was silent for {took}" if took and event.former else ""
            return f"{who} coordinates{after}"
        case "restored":
            return f"{who} wrote back the state, which the backend had lost"
        case "reconnected":
            return f"the backend could not be reached for {took}, as {who} saw it"
        case "closed":
            return "the run is closed"


def _names(nodes: Sequence[Named], number: int) -> str:
    more = f" and {number - len(nodes)} more" if number > len(nodes) else ""
    return ", ".join(map(str, nodes)) + more
