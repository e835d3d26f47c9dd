"""A worker that has nothing to do with the others: like ``train.py``, but without torch, which takes long.

What others notice when a worker is gone, their agents must tell them. The file ``finish-<address>`` in the
folder it is given ends the worker of that agent alone.
"""

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
ADDRESS = os.environ["AGENT_ADDRESS"]
RANK = int(os.environ["RANK"])
CHECKPOINT = FOLDER / "checkpoint.pt"


def tell(event: str, **details: object) -> None:
    line = {"event": event, "address": ADDRESS, "pid": os.getpid(), "rank": RANK, **details}
    os.write(1, json.dumps(line).encode() + b"\n")


def main() -> None:
    step = int(CHECKPOINT.read_text()) if CHECKPOINT.exists() else 0
    tell(
        "start",
        world=int(os.environ["WORLD_SIZE"]),
        step=step,
        restart=int(os.environ["TORCHELASTIC_RESTART_COUNT"]),
        master=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
        agent_store=os.environ["TORCHELASTIC_USE_AGENT_STORE"],
        time=time.time(),
    )
    failure = FOLDER / f"fail-{ADDRESS}"
    while not (FOLDER / "stop").exists():
        if (FOLDER / f"finish-{ADDRESS}").exists():
            return
        if failure.exists():
            failure.unlink()
            os._exit(3)
        step += 1
        if RANK == 0:
            new = CHECKPOINT.with_suffix(".new")
            new.write_text(str(step))
            new.replace(CHECKPOINT)
        time.sleep(0.05)
    tell("end", weights=[])


main()
