"""The embedded default: a rendezvous in one SQLite file, without a server.

For any number of processes of one machine; nothing to install or start. The endpoint is the path of
the file, and an empty one means `default_path`, private to the user. Relative paths start at the
working directory, so give all nodes an absolute one.

What is guaranteed
    Every call is one transaction: compare-and-set is exact, and no update is lost, however many
    processes write and whichever of them is killed. A call that returned is seen by all. Runs in one
    file are independent of each other. The file, and its directory where it had to be made, can be
    read by its user alone.
Waiting
    However many threads of a process wait, one more sleeps for them until the kernel tells that
    somebody wrote what others may wait for; heartbeats are not among it. Where the kernel does not
    tell (it does on Linux) it looks every 10 ms. So a change is noticed within 20 ms, usually at once.
What is kept
    A run that nobody wrote to for 7 days is removed when a process opens the file. This, and nothing
    else, goes by the clock of the machine.
What fails, and how
    A file that is damaged, no database, of another application or of another version raises
    `RendezvousStateError`; one that is read-only, cannot be reached, or has no space left
    `RendezvousConnectionError`; both name the path and the remedy. A file that was deleted or
    replaced is a lost state: all go on with the new one. A power failure may undo the last writes.
    A process that is stopped (not killed) in the middle of its write holds up all other writers;
    after 30 s they fail with an error that names it.
Local file systems only
    SQLite's locks and shared memory do not work on network file systems, nor between machines. For
    those there are the backends redis, etcd and c10d.
"""

from rendezvous_core.sqlite.backend import SqliteBackend
from rendezvous_core.sqlite.path import default_path
from rendezvous_core.sqlite.runs import SqliteRuns
from rendezvous_core.sqlite.store import SqliteStore

__all__ = ["SqliteBackend", "SqliteRuns", "SqliteStore", "default_path"]
