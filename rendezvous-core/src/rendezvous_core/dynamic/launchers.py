"""What launchers tell a node about itself."""

import re
from collections.abc import Mapping, Sequence

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


_TORCHRUN = re.compile(r"(^|[/\\\\])(torchrun|torch[/\\\\]distributed[/\\\\]run\.py)$")


def find_rank_hint(environment: Mapping[str, str], command: Sequence[str] = ()) -> int | None:
    """Return the number that the launcher gave to this node, if it gave one.

    A stock torchrun tells it only by its own command: there the option ``--node-rank`` goes first. What
    is no number is passed over: the variables belong to others, who may mean something else by them.
    """
    told = [environment.get(name, "").strip() for name in RANK_VARIABLES]
    if command and _TORCHRUN.search(command[0]):
        line = "\n".join(command)
        told = re.findall(r"^--node[-_]rank[=\n](.*)$", line, flags=re.MULTILINE)[:1] + told
    for text in told:
        if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= MAX_NODES:
            return int(text)
    return None
