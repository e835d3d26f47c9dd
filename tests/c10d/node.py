"""A node as a process: joins, says so, and waits for its next order on its standard input.

    python -m tests.c10d.node ENDPOINT RUN_ID MIN_NODES MAX_NODES OPTIONS

With the order ``go`` it ends as programs do, without closing anything; it ends with its input, too.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler


def main(endpoint: str, run_id: str, least: str, most: str, options: str) -> None:
    # What it waits for is told where that takes long; here only torch's words are looked for.
    logging.getLogger("rendezvous_core").setLevel(logging.ERROR)
    params = RendezvousParameters("c10d", endpoint, run_id, int(least), int(most), **json.loads(options))
    handler = get_rendezvous_handler(params)
    print("open", flush=True)
    try:
        info = handler.next_rendezvous()
    except RendezvousError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
    else:
        print(f"{info.rank} of {info.world_size}", flush=True)
        if sys.stdin.readline().strip() == "go":
            # Left behind in a wait, as a thread of a real program may be.
            threading.Thread(target=info.store.get, args=("never",), daemon=True).start()


class Process:
    """One such process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def says(self) -> str:
        """Block for the next line of its output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> tuple[int, str]:
        """Have it end; returns its exit status and what it wrote to its standard error."""
        _, errors = self._process.communicate("go\n")
        return self._process.returncode, errors


@contextmanager
def node(endpoint: str, run_id: str, least: int, most: int, **options: Any) -> Iterator[Process]:
    """Run the process, until it is killed at the end of the context."""
    arguments = [endpoint, run_id, str(least), str(most), json.dumps(options)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.c10d.node", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Process(process)
        finally:
            process.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
