"""Participants agree on one step through the store of their round."""

import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from rendezvous_core import RendezvousTimeoutError, Store, agree_step
from rendezvous_core.testing import MemoryServer, MemoryStore

PATIENCE = 60.0


def store() -> Store:
    return MemoryStore(MemoryServer(), "round")


def test_nobody_wants_one() -> None:
    assert [agree_step(store(), 0, 2, step) for step in range(3)] == [None] * 3


def test_one_alone_agrees_at_its_next_step() -> None:
    shared = store()
    assert agree_step(shared, 0, 1, 7, wanted=True) is None
    assert [agree_step(shared, 0, 1, step, wanted=True) for step in (8, 9)] == [8, 8]


def train(shared: Store, rank: int, size: int, make_step: Callable[[int], object], called_at: int) -> int:
    """Make steps until the one agreed on; return it."""
    for step in itertools.count():
        agreed = agree_step(shared, rank, size, step, wanted=step >= called_at, timeout=PATIENCE)
        if agreed == step:
            return step
        make_step(step)
    raise AssertionError


@pytest.mark.parametrize("seed", range(10))
def test_those_who_step_together_stop_together(seed: int) -> None:
    """As in a training with collectives: nobody can end a step before all have begun it."""
    draw = random.Random(seed)
    size, shared = 4, store()
    collective = threading.Barrier(size, timeout=PATIENCE)
    # The notice reaches them at different times, some of them never.
    calls = [draw.randrange(12) for _ in range(size)]
    with ThreadPoolExecutor(size) as pool:
        stopped = list(
            pool.map(
                lambda rank: train(shared, rank, size, lambda step: collective.wait(), calls[rank]),
                range(size),
            )
        )
    assert set(stopped) == {min(calls) + 1}


def test_those_who_are_behind_catch_up_with_the_farthest() -> None:
    """As where nothing keeps them together."""
    shared = store()
    ahead, called = threading.Event(), threading.Event()

    def fall_behind(step: int) -> None:
        if step == 0:
            assert ahead.wait(PATIENCE)
        if step == 1:
            called.set()

    def run_ahead(step: int) -> None:
        if step == 20:
            ahead.set()
            assert called.wait(PATIENCE)

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(train, shared, 0, 2, fall_behind, 1)
        fast = pool.submit(train, shared, 1, 2, run_ahead, 1000)
        assert slow.result(PATIENCE) == fast.result(PATIENCE) == 21


def test_a_death_leaves_no_two_opinions() -> None:
    """Whoever dies before it has spoken keeps all from agreeing, and nobody can once it has."""
    shared = store()
    agree_step(shared, 0, 3, 4, wanted=True)
    waits = [threading.Event() for _ in range(2)]

    def over(rank: int) -> bool:
        waits[rank].set()
        return True

    assert agree_step(shared, 0, 3, 5, called_off=lambda: over(0)) is None
    assert agree_step(shared, 1, 3, 9, called_off=lambda: over(1)) is None
    with pytest.raises(RendezvousTimeoutError, match=r"Rank 2 of 3 did not say within 0\.01 s"):
        agree_step(shared, 0, 3, 5, timeout=0.01)
    assert agree_step(shared, 2, 3, 6) == 9
    assert [agree_step(shared, rank, 3, step) for rank, step in ((0, 5), (1, 9))] == [9, 9]
