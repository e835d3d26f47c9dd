"""What launchers tell a node about itself."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

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

_TORCHRUN = re.compile(
    r"(^|[/\\])(torchrun|torch[/\\]distributed[/\\](run|launch)\.py|rendezvous_c10d[/\\]torchrun[/\\]__main__\.py)$"
)
_FLAGS = ("--standalone", "-m", "--module", "--no-python", "--run-path", "--virtual-local-rank", "--use-env")
"""Options of torchrun that take no value; all others do. They may be shortened, but for ``-m``."""


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


def find_job(command: Sequence[str]) -> str:
    """Return what tells this job from others that have no id either; empty where nothing does.

    It is a digest of what torchrun was told to run, with its arguments; torchrun's own options may differ
    between the nodes of a job.
    """
    if not command or not _TORCHRUN.search(command[0]):
        return ""
    told = "\0".join(_script(iter(command[1:])))
    return hashlib.sha256(told.encode(errors="surrogateescape")).hexdigest()[:16]


def _script(words: Iterator[str]) -> list[str]:
    """Skip torchrun's own options."""
    for word in words:
        if not word.startswith("-"):
            return [word, *words]
        name = word.replace("_", "-")
        is_long = word.startswith("--")
        is_flag = any(flag.startswith(name) for flag in _FLAGS) if is_long else name in _FLAGS
        if not is_flag and (len(word) == 2 if not is_long else "=" not in word):
            next(words, None)
    return []
