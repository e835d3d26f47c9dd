"""Tries every order of events within bounds; a scene that was seen is not entered again."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from rendezvous_core.records.terms import Timing
from tests.enumeration.promises import Violation
from tests.enumeration.scenes import Bounds, Scene
from tests.enumeration.stepping import UNIT
from tests.enumeration.world import World

_PATIENCE = 120
"""After so many moments without a fault all is well."""


_MOST = 4_000_000
"""So many scenes are remembered, by their hashes, and what their nodes knew."""


class Counts(NamedTuple):
    """What was tried."""

    scenes: int
    steps: int
    """From scene to scene, also to one that was seen already."""
    whole: bool = True
    """Whether that is all there is within the bounds."""


def timing_of(bounds: Bounds) -> Timing:
    """Durations that are whole moments, and few."""
    timing = Timing(interval=4 * UNIT, attempts=3, last_call=bounds.last_call)
    object.__setattr__(timing, "look", bounds.look * UNIT)
    object.__setattr__(timing, "settle", UNIT)
    return timing


def search(bounds: Bounds, deadline: float = float("inf")) -> Counts:
    """Go everywhere within ``bounds``, until ``deadline``, or until that is too much to remember.

    Raises:
        Violation: a promise is broken; with the way to it.
    """
    world = World(bounds, timing_of(bounds))
    begin = world.begin()
    seen = {hash(begin)}
    good: set[int] = set()
    steps = 0
    way: list[tuple[str, Iterator[tuple[str, Scene]]]] = [("", world.follow(begin))]
    try:
        while way:
            for label, scene in way[-1][1]:
                steps += 1
                known = hash(scene)
                if known in seen:
                    continue
                seen.add(known)
                if len(seen) % 1024 == 0 and (time.monotonic() > deadline or len(seen) > _MOST):
                    return Counts(len(seen), steps, whole=False)
                if scene.moment > bounds.end:
                    way.append((label, iter(())))
                    go_on(world, scene, good)
                    way.pop()
                else:
                    way.append((label, world.follow(scene)))
                    break
            else:
                way.pop()
    except Exception as error:
        told = "\n".join(label for label, _ in way)
        raise Violation(f"{type(error).__name__}: {error}\n{told}") from error
    return Counts(len(seen), steps)


def go_on(world: World, scene: Scene, good: set[int]) -> None:
    """Without further faults all are soon where they belong (progress)."""
    last, been = scene.moment + _PATIENCE, []
    scene = world.heal(scene)
    while True:
        known = hash(scene._replace(moment=0))
        if known in good:
            break
        been.append(known)
        reason = world.unsettled(scene)
        if reason is None:
            break
        if scene.moment > last:
            raise Violation(f"progress: after {_PATIENCE} moments, {reason}")
        _, scene = next(world.follow(scene))
    good.update(been)
