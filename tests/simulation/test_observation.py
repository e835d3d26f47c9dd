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
