"""Who is seen to live and who is not, look by look (Rules 4 and 5)."""

from rendezvous_core.protocol.observation import Observer
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat

GAP = 0.5
STEP = 0.25
"""Seconds between two looks; a binary fraction, so that sums of it are exact."""


def member(beat: int = 1, term: str = "") -> Member:
    return Member(node="n", address="", pid=1, dead_after=3.0, beat=beat, term=term)


def dies_at(observer: Observer, asked: float, *, term: str = "") -> float:
    """Look again and again, without another heartbeat; return when the node is found dead."""
    while True:
        sight = observer.look({"n": member(term=term)}, [Seat("n", 1, 3.0)], "t", asked, asked)
        if "n" in sight.dead:
            return asked
        asked += STEP


def test_node_is_dead_after_its_patience() -> None:
    observer = Observer("me", GAP, 0.0)
    assert dies_at(observer, 0.0) == 3.0


def test_what_a_listing_shows_may_be_as_young_as_its_answer() -> None:
    observer = Observer("me", GAP, 0.0)
    observer.look({"n": member()}, [], "t", 0.0, STEP)
    assert dies_at(observer, 2 * STEP) == STEP + 3.0


def test_listing_that_took_long_by_itself_is_a_pause_of_the_observer() -> None:
    observer = Observer("me", GAP, 0.0)
    observer.look({"n": member()}, [], "t", 0.0, 100.0)
    assert dies_at(observer, 100.0 + STEP) == 100.0 + STEP + 3.0


def test_only_who_rose_lately_in_this_term_is_fresh() -> None:
    observer = Observer("me", GAP, 0.0)
    asked = 0.0
    while "n" in observer.look({"n": member(term="t")}, [], "t", asked, asked).fresh:
        asked += STEP
    assert asked == 3.0
    assert "n" not in observer.look({"n": member(2, "old")}, [], "t", asked, asked).fresh
    assert "n" in observer.look({"n": member(3, "t")}, [], "t", asked, asked).fresh


def test_record_that_was_hidden_for_a_while_is_no_newer() -> None:
    """By one that a server took late: who is seen with it again may be dead since."""
    observer = Observer("me", GAP, 0.0)
    for beat, asked, fresh in ((2, 0.0, True), (1, STEP, True), (2, 3.0, False), (3, 3.0 + STEP, True)):
        assert ("n" in observer.look({"n": member(beat, "t")}, [], "t", asked, asked).fresh) is fresh


def test_record_of_a_node_long_dead_is_forgotten() -> None:
    observer = Observer("me", GAP, 0.0)
    asked = dies_at(observer, 0.0)
    while not observer.look({"n": member()}, [], "t", asked, asked).forgotten:
        asked += STEP
    assert asked == 10 * 3.0 + STEP


def test_a_silence_is_told_for_as_long_as_nothing_was_seen() -> None:
    """For people: an outage of the observer's own is in it."""
    observer = Observer("me", GAP, 0.0)
    for asked in (0.0, STEP, 100.0):
        observer.look({"n": member()}, [], "t", asked, asked)
        assert observer.silence("n") == asked
    assert observer.silence("other") is None
    observer.look({"n": member(2)}, [], "t", 100.0 + STEP, 100.0 + STEP)
    assert observer.silence("n") == 0.0


def test_silence_of_a_participant_without_a_record_counts_from_the_first_look() -> None:
    observer = Observer("me", GAP, 0.0)
    for asked in (0.0, STEP):
        observer.look({}, [Seat("n", 1, 3.0)], "t", asked, asked)
        assert observer.silence("n") == asked


def test_record_that_is_lost_may_have_been_renewed_until_then() -> None:
    """Rule 4: who takes part counts as silent from when it was missed."""
    for took in (0.0, STEP):
        observer = Observer("me", GAP, 0.0)
        observer.look({"n": member()}, [], "t", 0.0, 0.0)
        observer.look({}, [Seat("n", 1, 3.0)], "t", STEP, STEP + took)
        for look in range(2, 20):
            asked = took + look * STEP
            if observer.look({}, [Seat("n", 1, 3.0)], "t", asked, asked).dead:
                break
        assert asked == took + STEP + 3.0


def test_record_that_was_left_out_is_no_newer_when_it_is_there_again() -> None:
    """Rule 4: so long as anything is known of its node."""
    observer = Observer("me", GAP, 0.0)
    observer.look({"n": member()}, [], "t", 0.0, 0.0)
    for look in range(1, 9):
        observer.look({}, [], "t", look * STEP, look * STEP)
    assert dies_at(observer, 9 * STEP) == 3.0
    observer = Observer("me", GAP, 0.0)
    observer.look({"n": member()}, [], "t", 0.0, 0.0)
    for look in range(1, 121):
        assert observer.silence("n") is not None
        observer.look({}, [], "t", look * STEP, look * STEP)
    assert observer.silence("n") is None, "ten times its patience"


def test_time_that_all_listings_take_counts_in_full() -> None:
    """Rule 4: it is the backend's pace, and no pause of the observer's."""
    observer = Observer("me", GAP, 0.0)
    looks = [2.25 * look for look in range(9)]
    found: list[float] = []
    for asked in looks:
        beat = min(5, round(asked / 2.25))
        sight = observer.look({"n": member(beat)}, [], "t", asked, asked + 2.0)
        found += [asked] if sight.dead else []
    # It may have risen until the answer was there that showed its last heartbeat.
    assert found == [asked for asked in looks if asked >= 5 * 2.25 + 2.0 + 3.0]


def test_what_rose_during_an_outage_may_have_risen_at_its_beginning() -> None:
    """Rule 5: a moment late is no outage."""
    for late, fresh in ((0.125, True), (1.5, False)):
        observer = Observer("me", GAP, 0.0)
        observer.look({"n": member(1, "t")}, [], "t", 0.0, 0.0)
        asked = GAP + late
        observer.look({"n": member(2, "t")}, [], "t", asked, asked)
        while asked < 3.0:
            asked += GAP
            sight = observer.look({"n": member(2, "t")}, [], "t", asked, asked)
        assert ("n" in sight.fresh) is fresh


def test_newest_record_counts_though_an_older_one_hides_it() -> None:
    observer = Observer("me", GAP, 0.0)
    observer.look({"n": member(2)}, [], "t", 0.0, 0.0)
    assert observer.look({"n": member(1)}, [], "t", STEP, STEP).members["n"].beat == 2
