"""What the commands of the draining tests run: steps made together, and a checkpoint when somebody must go.

python stepping.py FOLDER
"""

import os
import signal
import sys
from pathlib import Path

from rendezvous_core import RendezvousTimeoutError, agree_step, notice_from_env, store_from_env

FOLDER = Path(sys.argv[1])
RANK, SIZE, ROUND = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "RDZV_ROUND"))
stops: list[int] = []
signal.signal(signal.SIGTERM, lambda number, frame: stops.append(number))


def die(when: str) -> None:
    """Kill the node of this command, and so the command, where the test has ordered it."""
    if (FOLDER / f"die-{when}-{RANK}").exists():
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()


def main() -> None:
    """Step until told to stop, or until the checkpoint is written on a node that must go."""
    store = store_from_env()
    print("steps", ROUND, flush=True)
    step = 0
    while not stops:
        notice = notice_from_env()
        # Another may have read its notice before, and called for a step; that is none before the next.
        if notice or store.check(["rendezvous/steps/call"]):
            die("asked")
        agreed = agree_step(
            store, RANK, SIZE, step, wanted=notice is not None, timeout=600, called_off=lambda: bool(stops)
        )
        if agreed == step:
            die("agreed")
            (FOLDER / f"checkpoint-{ROUND}-{RANK}").write_text(str(step))
            print("saved", step, flush=True)
            if notice and notice.mine:
                return
        # As a collective: nobody gets on before all are there.
        store.add(f"step/{step}", 1)
        while int(store.add(f"step/{step}", 0)) < SIZE and not stops:
            try:
                store.wait([f"step/{step + 1}"], 0.02)
            except RendezvousTimeoutError:
                continue
            break
        step += 1


main()
