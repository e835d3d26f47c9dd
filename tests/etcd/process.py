"""A node in a process of its own, which tests pause and kill."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

PATIENCE = 60.0


class NodeProcess:
    """Joins round after round of a run, until it is ended."""

    def __init__(
        self, backend: str, endpoint: str, run_id: str, nodes: tuple[int, int], **options: Any
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, json.dumps([backend, endpoint, run_id, *nodes]), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._told.put(json.loads(line))

    def next_round(self) -> dict[str, Any]:
        """What it tells of the next round that it is in: rank and size of the world, or an error."""
        return self._told.get(timeout=PATIENCE)

    def expect(self, world_size: int) -> int:
        """Wait for it to be in a round of that size; return its rank."""
        while (told := self.next_round()).get("world_size") != world_size:
            assert "error" not in told, told
        return int(told["rank"])

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word, in whatever state it is."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def __enter__(self) -> "NodeProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def main() -> None:
    """Be the node."""
    from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
    from rendezvous_core.dynamic.handler import DynamicRendezvousHandler

    backend, endpoint, run_id, min_nodes, max_nodes = json.loads(sys.argv[1])
    handler = get_rendezvous_handler(
        RendezvousParameters(
            backend, endpoint, run_id, min_nodes, max_nodes, "localhost", **json.loads(sys.argv[2])
        )
    )
    assert isinstance(handler, DynamicRendezvousHandler)
    while True:
        try:
            info = handler.next_rendezvous()
        except RendezvousError as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
            return
        print(json.dumps({"rank": info.rank, "world_size": info.world_size}), flush=True)
        handler.wait_for_membership_change()


if __name__ == "__main__":
    main()
