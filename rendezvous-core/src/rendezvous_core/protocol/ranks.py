"""The default rank policy."""

from collections.abc import Sequence

from rendezvous_core.protocol.records import Member


def keep_ranks(members: Sequence[Member], previous: Sequence[str]) -> list[str]:
    """Keep survivors in their order, at their old ranks where these still exist; fill the holes.

    Rank 0 goes to a survivor if there is one, since it is the rank that hands state to the others;
    newcomers take the remaining ranks in the order given.
    """
    present = {member.node for member in members}
    survivors = [(rank, node) for rank, node in enumerate(previous) if node in present]
    ranked: dict[int, str] = {}
    limit = len(members)
    for rank, node in reversed(survivors):
        limit = min(rank, limit - 1)
        ranked[limit] = node
    if survivors:
        ranked[0] = ranked.pop(limit)
    newcomers = iter([member.node for member in members if member.node not in set(ranked.values())])
    return [ranked[rank] if rank in ranked else next(newcomers) for rank in range(len(members))]
