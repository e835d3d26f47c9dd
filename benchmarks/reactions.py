"""How a group that runs takes it when its last node comes, leaves, or is killed.

Each time: how long until the last of the others is told, and from then until the last has a new rank. With
the newcomer the round is full, so it need not wait for a last call; without it, it may.
"""

import time

from benchmarks.contenders import CONTENDERS
from benchmarks.group import Group
from benchmarks.terms import Figure, Figures, Size, Terms


class _Others:
    """Those whom something happens to, which they learn of and act upon."""

    def __init__(self, group: Group, terms: Terms) -> None:
        self._group, self._terms = group, terms
        self._seats = group.seats[:-1]
        self.figures: Figures = {}

    def meet(self, seats: range) -> bool:
        """Have ``seats`` form their first round."""
        self._group.order(seats, "serve")
        return self._have_met(seats, 0.0)

    def watch(self, seen: str, since: float, limit: float) -> None:
        """Note when they are told, as ``seen``; have them ask without, where nobody tells them."""
        group = self._group
        if group.until(lambda: group.last(self._seats, "told", since) is not None, limit):
            self.figures[seen] = Figure((group.last(self._seats, "told", since) or 0.0) - since)
        else:
            self.figures[seen] = Figure(limit, is_over=True)
            group.order(self._seats, "nudge")

    def meet_again(self, formed: str, seats: range, since: float) -> bool:
        """Note how long ``seats`` take, as ``formed``; whether they do it in time."""
        began = self._group.last(self._seats, "told", since) or time.monotonic()
        met = self._have_met(seats, since)
        ended = self._group.last(seats, "ranked", since, len(seats)) or 0.0
        limit = self._terms.limit
        self.figures[formed] = Figure(max(0.0, ended - began)) if met else Figure(limit, is_over=True)
        return met

    def _have_met(self, seats: range, since: float) -> bool:
        group, size = self._group, len(seats)
        return group.until(lambda: group.last(seats, "ranked", since, size) is not None, self._terms.limit)


def newcomer(contender: str, endpoint: str, size: Size, terms: Terms) -> Figures:
    """A node comes, and leaves again if it can."""
    with Group(terms.plan(contender, endpoint, size.nodes - 1, size.nodes), size.processes) as group:
        others = _Others(group, terms)
        *_, last = group.seats
        if others.meet(group.seats[:-1]):
            since = time.monotonic()
            group.order([last], "serve")
            others.watch("newcomer seen", since, terms.limit)
            met = others.meet_again("formed with it", group.seats, since)
            if met and CONTENDERS[contender].can_leave:
                since = time.monotonic()
                group.order([last], "leave")
                others.watch("leave seen", since, terms.limit)
                others.meet_again("formed without it", group.seats[:-1], since)
        return others.figures


def death(contender: str, endpoint: str, size: Size, terms: Terms) -> Figures:
    """The process of a node is killed with SIGKILL."""
    with Group(terms.plan(contender, endpoint, size.nodes - 1, size.nodes), size.processes) as group:
        others = _Others(group, terms)
        if others.meet(group.seats):
            since = group.kill(group.seats[-1])
            others.watch("death seen", since, 2 * terms.window)
            others.meet_again("formed after it", group.seats[:-1], since)
        return others.figures
