"""A node that can be stopped, copied and made to go on: the very generator that the driver runs.

A generator cannot be copied, but what it knows at the beginning of a cycle is all in its `Node`. So a
local state is a copy of the node at the latest such beginning, and what it has been told since; it
goes on from there with a new generator, which is told the same again. Each step is taken once: the
same step of the same local state is looked up.
"""

import copy
import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import msgspec

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import Operation, Rest, Steps, Wait
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Terms, Timing

UNIT = 0.25
"""Seconds between two moments; a binary fraction, so that sums of it are exact."""

RUN = "run"

_OLD = -64.0
"""A moment so long ago, or longer: no duration of the protocol's reaches there."""

_NODE_MOMENTS = (
    *("_read_at", "_put_at", "_last_call_at", "_knock_at", "_looked_at"),
    *("_crowded_at", "_goes_at"),
)
_NODE_REST = {
    *("member", "outcome", "joined", "finished", "state", "trouble", "now", "began"),
    *("_run", "_settings", "_news", "_spare", "_moves", "_timing", "coordinator"),
    *("_token", "_stale", "_still", "_reopens", "_has_id", "_opening", "_drains", "_heard"),
}
_OF_LARGE_GROUPS = {"_page", "_book", "_kept", "_missed", "_lost_at", "_is_heir"}
"""What a node knows of a ledger that is kept apart: here all are in the state."""
_OF_NEWS = {"_asked_at"}
"""What decides whether a node takes in the state that a wait tells: here none does."""
_TOLD = {"restored", "deposed_after", "members", "dead"}
"""For people: nothing is decided by it."""
_COORDINATOR_REST = {
    *("_node", "_settings", "_timing", "new_id", "_ranks", "_term", "observer", "_asks", "_passed"),
    *("_missing", "_missing_before", "_rest", "failed", "settled_at", "_unsettled", "forgotten"),
}
_OBSERVER_REST = {"_me", "_gap", "_asked", "_answered", "_took", "_before", "_silences", "_tracks"}


class Ids:
    """Names that are new, and the same whenever the same is done."""

    def __init__(self, node: str) -> None:
        self.node, self.count = node, 0

    def __call__(self) -> str:
        self.count += 1
        return f"{self.node}{self.count}"


class SteppedNode(Node):
    """Remembers what it was at the beginning of its latest cycle."""

    began: "SteppedNode | None" = None

    def _cycle(self) -> Steps:
        self.began = rebased(self)
        yield from super()._cycle()


def clone(node: SteppedNode) -> SteppedNode:
    """Copy a node with all that it may change; records are shared."""
    new = copy.copy(node)
    coordinator = new.coordinator = copy.copy(node.coordinator)
    coordinator.new_id = copy.copy(coordinator.new_id)
    observer = coordinator.observer = copy.copy(coordinator.observer)
    observer._took = copy.copy(observer._took)
    observer._silences = dict(observer._silences)
    observer._tracks = {name: copy.copy(track) for name, track in observer._tracks.items()}
    return new


def rebased(node: SteppedNode) -> SteppedNode:
    """Copy a node as if it were the moment zero."""
    new, now = clone(node), node.now

    def shift(moment: float) -> float:
        return max(moment - now, _OLD)

    new.now, new.began = 0.0, None
    new._moves = min(new._moves, 2)  # more make no difference
    for name in _NODE_MOMENTS:
        if (moment := getattr(new, name)) is not None:
            setattr(new, name, shift(moment))
    new._drains = {each: (left, shift(until)) for each, (left, until) in new._drains.items()}
    coordinator = new.coordinator
    observer = coordinator.observer
    coordinator.settled_at = shift(coordinator.settled_at)
    coordinator._unsettled = shift(coordinator._unsettled)
    observer._asked, observer._answered = shift(observer._asked), shift(observer._answered)
    for track in observer._tracks.values():
        track.rose = shift(track.rose)
    return new


def key(node: SteppedNode) -> Hashable:
    """All that decides what a rebased node will do. Complains of an attribute that it does not know."""
    coordinator = node.coordinator
    observer = coordinator.observer
    for part, known in (
        (node, {*_NODE_MOMENTS, *_NODE_REST}),
        (coordinator, _COORDINATOR_REST),
        (observer, _OBSERVER_REST),
    ):
        unknown = vars(part).keys() - known - _TOLD - _OF_LARGE_GROUPS - _OF_NEWS
        assert not unknown, f"say here whether {unknown} are moments, and whether they must be copied"
    outcome = node.outcome if isinstance(node.outcome, Joined) else repr(node.outcome)
    ids = coordinator.new_id
    assert isinstance(ids, Ids)
    return (
        *(getattr(node, name) for name in _NODE_MOMENTS),
        *(frozen(node.member), outcome, node.finished, frozen(node.state), node.trouble is None),
        *(node._news, node._spare, node._moves, node._token, node._stale, node._still),
        *(node._opening, tuple(node._drains.items()), node._heard == node._wish() or node._heard),
        *(coordinator._term, frozenset(coordinator._asks), coordinator._passed),
        *(coordinator._missing, coordinator._missing_before),
        *(coordinator._rest, coordinator.failed, coordinator.settled_at, coordinator._unsettled),
        ids.count,
        *(
            observer._asked,
            observer._answered,
            tuple(observer._took),
            observer._before,
            tuple(observer._silences.items()),
        ),
        *(
            (name, frozen(track.member), track.dead_after, track.rose, track.silence, track.beat, track.lost)
            for name, track in observer._tracks.items()
        ),
    )


def frozen(value: Any) -> bytes | None:
    """Return ``value`` as something that can be hashed."""
    return None if value is None else msgspec.msgpack.encode(value)


class Told(NamedTuple):
    """What a node is told: the answer to its operation, an error, or a wish of its user's."""

    kind: str
    value: Any = None
    name: Hashable = None
    """Equal where the values are, and hashable."""


FAILED = Told("error")
ASK = Told("ask")
LEAVE = Told("leave")


class Local(NamedTuple):
    """What one node knows, and what it is about to do."""

    number: int
    begin: int
    """The number of the node at the beginning of its cycle."""
    told: tuple[tuple[float, Told], ...]
    operation: Operation | None
    """``None`` when the node has no business any more."""
    patience: int
    """Where it waits or rests: for how many moments."""
    member: Member
    outcome: Any
    finished: bool
    called: bool
    """Whether its user is in a round and told to ask again."""
    listed: bool
    """Whether it has listed the members in this cycle."""


class Stepper:
    """All local states of all nodes, and the steps between them."""

    def __init__(self) -> None:
        self._begins: list[SteppedNode] = []
        self._numbers: dict[Hashable, int] = {}
        self._locals: dict[Hashable, Local] = {}
        self.all: list[Local] = []
        """By number."""
        self._steps: dict[Hashable, Local] = {}

    def start(self, name: str, settings: Settings, timing: Timing) -> Local:
        """Return a node whose user has just asked."""
        member = Member(node=name, address="", pid=1, dead_after=timing.dead_after)
        node = SteppedNode(member, Terms(RUN, settings, timing, keep_ranks), Ids(name))
        node.ask()
        return self._go_on(self._number(rebased(node)), ())

    def step(self, local: Local, age: float, told: Told) -> Local:
        """Tell a node something, so long after it was told the last time."""
        step = (local.number, age, told.kind, told.name)
        known = self._steps.get(step)
        if known is None:
            known = self._steps[step] = self._go_on(local.begin, (*local.told, (age, told)))
        return known

    def _number(self, node: SteppedNode) -> int:
        number = self._numbers.setdefault((node.member.node, key(node)), len(self._begins))
        if number == len(self._begins):
            self._begins.append(node)
        return number

    def _go_on(self, begin: int, told: tuple[tuple[float, Told], ...]) -> Local:
        node = clone(self._begins[begin])
        steps = node.live()
        operation = self._advance(steps)
        node.began = None
        since: list[tuple[float, Told]] = []
        for age, each in told:
            node.now += age
            since.append((age, each))
            operation = self._tell(node, steps, operation, each)
            if node.began is not None:
                begin, since, node.began = self._number(node.began), [], None
        if operation is None:
            begin, since = self._number(rebased(node)), []
        return self._local(begin, tuple(since), operation, node)

    def _tell(
        self, node: SteppedNode, steps: Steps, operation: Operation | None, told: Told
    ) -> Operation | None:
        if told.kind == "error":
            return self._advance(steps, error=RendezvousConnectionError("enumerated"))
        if told.kind in ("ask", "leave"):
            # As the driver does: between two operations, of which waiting ends at once.
            if told.kind == "ask":
                node.ask()
            else:
                node.quit("leave")
            if operation is None and not node.finished:
                raise AssertionError("who has ended does not ask here")
            return self._advance(steps, False) if isinstance(operation, Wait | Rest) else operation
        return self._advance(steps, told.value)

    @staticmethod
    def _advance(steps: Steps, value: Any = None, error: Exception | None = None) -> Operation | None:
        try:
            return steps.throw(error) if error else steps.send(value)
        except StopIteration:
            return None

    def _local(
        self,
        begin: int,
        told: tuple[tuple[float, Told], ...],
        operation: Operation | None,
        node: SteppedNode,
    ) -> Local:
        name = begin, tuple((age, each.kind, each.name) for age, each in told)
        known = self._locals.get(name)
        if known is None:
            inside = node.outcome is not None and not node.finished and node.member.intent == "join"
            known = self._locals[name] = Local(
                number=len(self.all),
                begin=begin,
                told=told,
                operation=operation,
                patience=_moments(operation),
                member=node.member,
                outcome=node.outcome,
                finished=node.finished,
                called=inside and node.nodes_waiting > 0,
                listed=any(each.kind == "listed" for _, each in told),
            )
            self.all.append(known)
        return known


def _moments(operation: Operation | None) -> int:
    """For how long at most; time passes from moment to moment, so never shorter than it was wanted."""
    if isinstance(operation, Wait | Rest):
        seconds = operation.timeout if isinstance(operation, Wait) else operation.seconds
        return max(0, math.ceil(seconds / UNIT))
    return 0
