"""Tries every order of events within bounds; a scene that was seen is not entered again."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from rendezvous_core.protocol.operations import Timing
from tests.enumeration.promises import Violation
from tests.enumeration.scenes import Bounds, Scene
from tests.enumeration.stepping import UNIT
from tests.enumeration.world import World

_PATIENCE = 120
"""After so many moments without a fault all is well."""


_MOST = 20_000_000
"""So many scenes are remembered, by their hashes: about two gigabytes."""


class Counts(NamedTuple):
    """What was tried."""

    scenes: int
    steps: int
    """From scene to scene, also to one that was seen already."""


def timing_of(bounds: Bounds) -> Timing:
    """Durations that are whole moments, and few."""
    timing = Timing(interval=4 * UNIT, attempts=3, last_call=bounds.last_call)
    object.__setattr__(timing, "look", bounds.look * UNIT)
    object.__setattr__(timing, "settle", UNIT)
    return timing


def search(bounds: Bounds, deadline: float = float("inf")) -> Counts | None:
    """Go everywhere within ``bounds``; ``None`` if that is not done by ``deadline``, or too much to remember.

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
                    return None
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
