"""Who is alive, as seen by one coordinator on its own clock.

No clock of another machine is read: an observer counts for how long *it* has seen no new heartbeat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rendezvous_core.protocol.decision import Sight
from rendezvous_core.protocol.records import Member


@dataclass
class _Track:
    beat: int
    dead_after: float
    changed: float
    """When the beat was last seen to rise."""
    silence: float = 0.0
    """For how long, in observed time, it has not risen since."""
    moved: bool = False
    """Whether it rose from one look to another: a record merely found may be a dead node's."""
    member: Member | None = None


class Observer:
    """Follows the heartbeats of all members during one term of one coordinator.

    Args:
        me: the observing node, always fresh to itself.
        gap: the time between two listings, in seconds. A longer gap is the observer's own outage
            or pause and counts as no more than this.
        dead_after: the patience with a participant of whom no record was ever seen.
    """

    def __init__(self, me: str, gap: float, dead_after: float) -> None:
        self._me = me
        self._gap = gap
        self._dead_after = dead_after
        self._looked: float | None = None
        self._tracks: dict[str, _Track] = {}

    def expect(self, node: str, beat: int, silence: float, lease: float, now: float) -> None:
        """Take over what was seen of ``node`` before the first look: its beat, and silence since."""
        self._tracks[node] = _Track(beat, lease, now - silence, silence)

    def look(self, listed: Mapping[str, Member], participants: Iterable[str], term: str, now: float) -> Sight:
        """Take in a listing of the members and say who is fresh and who is dead."""
        gap = 0.0 if self._looked is None else min(now - self._looked, self._gap)
        self._looked = now
        for node in self._tracks.keys() - listed.keys() - set(participants):
            del self._tracks[node]
        for node in participants:
            self._tracks.setdefault(node, _Track(-1, self._dead_after, now))
        for node, member in listed.items():
            self._tracks.setdefault(node, _Track(-1, member.dead_after, now))

        for node, track in self._tracks.items():
            member = listed.get(node)
            if member is None or member.beat <= track.beat:
                # Also a record older than one seen before: a put that arrived late.
                track.silence += gap
            else:
                track.moved = track.member is not None
                track.beat, track.changed, track.silence = member.beat, now, 0.0
                track.dead_after, track.member = member.dead_after, member
        return Sight(
            members={node: self._tracks[node].member or member for node, member in listed.items()},
            fresh={node for node, track in self._tracks.items() if self._is_fresh(node, track, term, now)},
            dead={node for node, track in self._tracks.items() if track.silence >= track.dead_after},
            silent={node: track.silence for node, track in self._tracks.items()},
        )

    def _is_fresh(self, node: str, track: _Track, term: str, now: float) -> bool:
        if node == self._me:
            return True
        if track.member is None or now - track.changed >= track.dead_after:
            return False
        return track.moved or track.member.term == term
