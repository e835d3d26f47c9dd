"""The keys of a run, all in one slot of a cluster."""

from typing import NamedTuple
from urllib.parse import quote


class Keys(NamedTuple):
    """The names of a run's keys, but for those of single clients: ``call:...`` and ``waiters:...``."""

    state: str
    """Hash: ``token`` and ``data`` of the state."""
    news: str
    """Stream: its entry stands for the latest write of the state."""
    members: str
    """Hash: the record of each node."""
    bell: str
    """Stream: its entry stands for the latest announcement."""
    values: str
    """Hash: the values of the store."""
    queues: str
    """Hash: the items of the store's queues, and each queue's ends."""
    views: str
    """Sorted set: the views of the store that are in use, each with the time of its last heartbeat."""
    waiters: str
    """Hash: for each key of the store that is awaited, the mailboxes to be told."""


def tag_of(prefix: str, run_id: str) -> str:
    """Return what the keys of ``run_id`` begin with; the braces make a cluster keep them together.

    Raises:
        ValueError: an empty run id, or one that is no text.
    """
    if not run_id:
        raise ValueError("The run id must be a non-empty string.")
    try:
        return f"{{{quote(prefix, safe='/:')}:{quote(run_id, safe='/')}}}"
    except UnicodeEncodeError as error:
        raise ValueError(f"The key prefix {prefix!r} or the run id {run_id!r} is no valid text.") from error


def keys_of(tag: str) -> Keys:
    """Name the keys of the run that ``tag`` belongs to."""
    return Keys(*(f"{tag}:{name}" for name in Keys._fields))
