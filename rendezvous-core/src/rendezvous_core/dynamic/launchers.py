"""What launchers tell a node about itself."""

from collections.abc import Mapping

from rendezvous_core.ports.limits import MAX_NODES

RANK_VARIABLES = (
    "GROUP_RANK",
    "NODE_RANK",
    "PET_NODE_RANK",
    "SLURM_NODEID",
    "JOB_COMPLETION_INDEX",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
)
"""Environment variables in which launchers number the nodes of a job; the first that is set counts."""


def find_rank_hint(environment: Mapping[str, str]) -> int | None:
    """Return the number that the launcher gave to this node, if it gave one.

    What is no number is passed over: these variables belong to others, who may mean something else by them.
    """
    for name in RANK_VARIABLES:
        text = environment.get(name, "").strip()
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_NODES:
            return int(text)
    return None
