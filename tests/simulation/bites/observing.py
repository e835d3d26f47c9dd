"""Bites out of how it is seen who lives."""

from rendezvous_core.protocol.observation import Observer
from tests.simulation.bites.bite import Bite
from tests.simulation.scenarios import deaths, listings, messages, oddities

BITES = [
    Bite(
        "Rule 4: who is left out of a listing is not forgotten",
        Observer.look,
        "followed | self._missing(followed, lapse)",
        "followed",
        oddities.listings_leave_out_who_has_died,
    ),
    Bite(
        "Rule 4: an outage of the observer's is no silence of the others",
        Observer.look,
        "min(asked - self._asked, self._gap)",
        "asked - self._asked",
        deaths.backend_is_away_for_longer_than_dead_after,
    ),
    Bite(
        "Rule 4: absence is silence, not death",
        Observer.look,
        "if track.silence >= track.dead_after}",
        "if track.silence >= track.dead_after or node not in listed}",
        messages.records_of_living_members_are_lost,
    ),
    Bite(
        "Rule 4: a record is newer only with a higher beat",
        Observer._follow,
        "if track.member is None or member.beat > track.member.beat:",
        "if True:",
        messages.late_put_of_a_dead_node,
    ),
    Bite(
        "Rule 4: a record that changes at all is not silent",
        Observer._follow,
        "if member.beat == track.beat:",
        "if member.beat <= track.beat:",
        messages.late_put_hides_the_newer_ones,
    ),
    Bite(
        "Rule 4: a participant is judged by its own patience, even without a record",
        Observer._miss,
        "_Track(None, seat.dead_after, ",
        "_Track(None, 7.5 * self._gap, ",
        messages.record_of_a_slow_participant_is_lost_at_a_takeover,
    ),
    Bite(
        "Rule 4: a record that is lost may have changed until then",
        Observer._miss,
        "track.silence = track.beat, -self._before",
        "track.silence = track.beat, track.silence + lapse",
        messages.records_are_lost_between_looks_that_are_far_apart,
    ),
    Bite(
        "Rule 4: a record is lost once",
        Observer._miss,
        "if track.lost == track.beat:",
        "if track.beat < 0:",
        messages.participant_dies_with_its_record,
    ),
    Bite(
        "Rule 5: only who proved itself alive in this term is admitted",
        Observer.look,
        "track.member.term == term",
        "True",
        deaths.all_die_and_the_run_id_starts_again,
    ),
    Bite(
        "Rule 5: what rose during an outage of the observer's may be as old as the outage",
        Observer.look,
        "rose = asked if away <= self._gap / 4 else self._asked",
        "rose = asked",
        deaths.coordinator_returns_and_finds_the_last_beats_of_the_dead,
    ),
    Bite(
        "Rule 4: the time that listings take counts in full",
        Observer.look,
        "slow = self._listing + ",
        "slow = ",
        listings.listings_are_slow,
    ),
    Bite(
        "Rule 4: a pause of the observer's while it lists is no slowness of the backend",
        Observer.__dict__["_listing"].fget,
        "return min(self._took) if len(self._took) == _LATEST else 0.0",
        "return self._took[-1] if self._took else 0.0",
        listings.coordinator_is_paused_while_it_lists,
    ),
    Bite(
        "Rule 4: what a listing showed may be as young as the listing",
        Observer._follow,
        "member.beat, -self._before",
        "member.beat, 0.0",
        listings.listings_are_slow,
    ),
]
