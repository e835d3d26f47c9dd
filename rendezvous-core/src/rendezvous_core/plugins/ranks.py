"""Rank policies: who stands where in a round (Rule 20)."""

from collections.abc import Mapping, Sequence
from typing import Any

from rendezvous_core.records.member import Member, natural, order

_PLACE = "place"
"""The name in the metadata under which a node says where it is, such as ``zone1/rack7/host3``."""

_DEPTH = 8
"""A place has no more parts than that."""


def rank(members: Sequence[Member], previous: Sequence[str]) -> list[str]:
    """Rank by place where a member says where it is, and else as `keep_ranks` does."""
    policy = rank_by_place if any(_PLACE in member.metadata for member in members) else keep_ranks
    return policy(members, previous)


def keep_ranks(members: Sequence[Member], previous: Sequence[str]) -> list[str]:
    """Keep survivors in their order, at their old ranks where these still exist; fill the holes.

    Rank 0 goes to a survivor if there is one, since it is the rank that hands state to the others.
    Newcomers take the remaining ranks: by rank hint, then by address (node2 before node10), then by id.
    """
    return _fill(members, _ranks(previous), 0)


def rank_by_place(members: Sequence[Member], previous: Sequence[str]) -> list[str]:
    """Rank neighbours side by side: a zone, in it a rack, in it a host, without gaps.

    The metadata ``place`` names them from the widest to the narrowest, with slashes between. Within a
    place, and among places, survivors stay where they were as far as that allows.
    """
    return _arrange([(member, _place(member)) for member in members], _ranks(previous), 0)


def _ranks(previous: Sequence[str]) -> dict[str, int]:
    return {node: rank for rank, node in enumerate(previous)}


def _place(member: Member) -> list[str]:
    return member.metadata[_PLACE].split("/")[:_DEPTH] if _PLACE in member.metadata else []


def _fill(members: Sequence[Member], former: Mapping[str, int], start: int) -> list[str]:
    """Rank ``members`` from ``start`` on: survivors as near to their old ranks as their order allows."""
    survivors = sorted((former[member.node], member.node) for member in members if member.node in former)
    ranked: dict[int, str] = {}
    limit = start + len(members)
    for index, (old, node) in reversed(list(enumerate(survivors))):
        limit = max(start + index, min(old, limit - 1))
        ranked[limit] = node
    if survivors and start == 0:
        ranked[0] = ranked.pop(limit)
    newcomers = iter([member.node for member in sorted(members, key=order) if member.node not in former])
    return [ranked[at] if at in ranked else next(newcomers) for at in range(start, start + len(members))]


def _arrange(members: Sequence[tuple[Member, list[str]]], former: Mapping[str, int], start: int) -> list[str]:
    """Rank ``members`` from ``start`` on, who are neighbours as far as their places were looked at."""
    if not any(place for _, place in members):
        return _fill([member for member, _ in members], former, start)
    groups: dict[str, list[tuple[Member, list[str]]]] = {}
    for member, place in members:
        groups.setdefault(place[0] if place else "", []).append((member, place[1:]))
    ranked: list[str] = []
    for group in _sorted(groups, former, start):
        ranked += _arrange(group, former, start + len(ranked))
    return ranked


def _sorted(
    groups: Mapping[str, list[tuple[Member, list[str]]]], former: Mapping[str, int], start: int
) -> list[list[tuple[Member, list[str]]]]:
    """Put places into the order of their survivors; new ones fill the gaps between, or else go last."""
    old: list[tuple[int, int, str]] = []
    new: list[tuple[Any, ...]] = []
    for name, group in groups.items():
        ranks = [former[member.node] for member, _ in group if member.node in former]
        if ranks:
            # Its newcomers may stand before its first survivor.
            old.append((min(ranks), min(ranks) - (len(group) - len(ranks)), name))
        else:
            first = min(order(member) for member, _ in group)
            new.append((first[:2], not name, natural(name), name))
    names = [name for *_, name in sorted(new)]
    result: list[str] = []
    at = start
    for _, earliest, name in sorted(old):
        for other in list(names):
            # Rank 0 is a survivor's.
            if at > 0 and at + len(groups[other]) <= earliest:
                names.remove(other)
                result.append(other)
                at += len(groups[other])
        result.append(name)
        at += len(groups[name])
    return [groups[name] for name in (*result, *names)]
