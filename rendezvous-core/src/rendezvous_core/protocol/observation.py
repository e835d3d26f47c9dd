"""Who is alive, as seen by one coordinator on its own clock (Rules 4 and 5).

No clock of another machine is read: an observer counts for how long *it* has seen no new heartbeat.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rendezvous_core.protocol.decision import Sight
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat

_FORGET = 10
"""After how many times its `dead_after` a silent node's record is of no more use (Rule 14)."""

_LATEST = 3
"""So many listings tell how long they take: one alone may be a pause of the observer's."""


@dataclass(slots=True)
class _Track:
    member: Member | None
    """The newest record; ``None`` for a participant of whom none was ever seen."""
    dead_after: float
    rose: float
    """When the beat was last seen to rise."""
    silence: float = 0.0
    """For how long, in observed time, the record has not changed."""
    beat: int = -1
    """As last listed: lower than the newest where a put arrived late, and hid what came after it."""
    lost: int = -1
    """The beat of the record that was missed last."""


class Observer:
    """Follows the heartbeats of all members during one term of one coordinator.

    Args:
        me: the observing node, always fresh to itself.
        gap: the time between two listings, in seconds. A longer gap is the observer's own outage
            or pause and counts as no more than this. So does the time that a listing takes, unless
            all of the latest take so long: that is the backend's pace, and counts in full.
        now: when the term began.
    """

    def __init__(self, me: str, gap: float, now: float) -> None:
        self._me = me
        self._gap = gap
        self._asked = self._answered = now
        self._took: deque[float] = deque(maxlen=_LATEST)
        self._before = 0.0
        """How much of the next lapse was over when the latest listing was answered."""
        self._silences: dict[tuple[str, int], float] = {}
        self._tracks: dict[str, _Track] = {}

    def expect(self, node: str, beat: int, silence: float) -> None:
        """Before the first look: ``node`` has been silent for so long, if ``beat`` was its last one."""
        self._silences[node, beat] = silence

    def look(
        self, listed: Mapping[str, Member], participants: Iterable[Seat], term: str, asked: float, now: float
    ) -> Sight:
        """Take in a listing, asked for at ``asked`` and there at ``now``; say who is fresh, who is dead."""
        slow = self._listing + min(asked - self._answered, self._gap)
        lapse = max(slow, min(asked - self._asked, self._gap))
        # What rose during an outage of this node's may have risen when the outage began.
        away = asked - self._asked - lapse
        rose = asked if away <= self._gap / 4 else self._asked
        self._asked, self._answered = asked, now
        self._took.append(now - asked)
        # A put may be as young as the answer that showed it: what follows counts from there.
        self._before = max(self._listing, min(now - asked, self._gap))
        followed = {node: self._follow(node, member, rose, lapse) for node, member in listed.items()}
        for seat in participants:
            if seat.node not in followed:
                followed[seat.node] = self._miss(seat, rose, lapse)
        self._tracks = followed | self._missing(followed, lapse)
        silent = {node: track for node, track in followed.items() if track.silence >= track.dead_after}
        return Sight(
            # What the observer wants by now need not have been put.
            members={
                node: member if node == self._me else followed[node].member or member
                for node, member in listed.items()
            },
            fresh={
                node
                for node, track in followed.items()
                if node == self._me
                or (track.member and track.member.term == term and asked - track.rose < track.dead_after)
            },
            dead=silent.keys(),
            forgotten=[
                node
                for node, track in silent.items()
                if node in listed and track.silence > _FORGET * track.dead_after
            ],
        )

    def silence(self, node: str) -> float | None:
        """For how long, up to the latest look, no new heartbeat was seen; ``None`` for one never listed."""
        track = self._tracks.get(node)
        return None if track is None else max(track.silence, self._asked - track.rose)

    @property
    def _listing(self) -> float:
        """For how long listings take at this time, as far as that is certain; the latest counts as well."""
        return min(self._took) if len(self._took) == _LATEST else 0.0

    def _follow(self, node: str, member: Member, rose: float, lapse: float) -> _Track:
        track = self._tracks.get(node)
        if track is None:
            silence = self._silences.get((node, member.beat), -self._before)
            return _Track(member, member.dead_after, rose, silence, member.beat)
        if member.beat == track.beat:
            track.silence += lapse
        else:
            track.beat, track.silence = member.beat, -self._before
            if track.member is None or member.beat > track.member.beat:
                track.member, track.dead_after, track.rose = member, member.dead_after, rose
        return track

    def _missing(self, followed: Mapping[str, _Track], lapse: float) -> dict[str, _Track]:
        """Who was listed and is not now: one that a listing leaves out is no newer when it is there again."""
        missing = {node: track for node, track in self._tracks.items() if node not in followed}
        for track in missing.values():
            track.silence += lapse
        return {node: each for node, each in missing.items() if each.silence < _FORGET * each.dead_after}

    def _miss(self, seat: Seat, rose: float, lapse: float) -> _Track:
        """Follow a participant without a record."""
        track = self._tracks.get(seat.node)
        if track is None:
            return _Track(None, seat.dead_after, rose)
        if track.lost == track.beat:
            track.silence += lapse
        else:
            # Until it was lost it may have changed, however long ago it was listed.
            track.lost, track.silence = track.beat, -self._before
        return track
