"""What the agents of these tests run: trains a small model together, keeps checkpoints, and tells about it.

The gradients are averaged by hand: DDP and torch's optimizers take as long to import as torch itself.

Every line on its standard output is one JSON object. The files ``stop`` and ``fail-<address>`` in the
folder it is given end the training, or make a worker of that agent fail once.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

FOLDER = Path(sys.argv[1])
ADDRESS = os.environ["AGENT_ADDRESS"]
CHECKPOINT = FOLDER / "checkpoint.pt"


def tell(event: str, **details: object) -> None:
    line = {"event": event, "address": ADDRESS, "pid": os.getpid(), **details}
    # One write, so that the lines of several workers do not mix.
    os.write(1, json.dumps(line).encode() + b"\n")


def main() -> None:
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank, world = dist.get_rank(), dist.get_world_size()
    model = torch.nn.Linear(4, 1)
    step = torch.zeros(1, dtype=torch.long)
    if rank == 0 and CHECKPOINT.exists():
        saved = torch.load(CHECKPOINT)
        model.load_state_dict(saved["model"])
        step.fill_(saved["step"])
    dist.broadcast(step, 0)
    for parameter in model.parameters():
        dist.broadcast(parameter.data, 0)
    tell(
        "start",
        rank=rank,
        world=world,
        step=int(step),
        restart=int(os.environ["TORCHELASTIC_RESTART_COUNT"]),
        master=f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
        agent_store=os.environ["TORCHELASTIC_USE_AGENT_STORE"],
        time=time.time(),
    )
    failure = FOLDER / f"fail-{ADDRESS}"
    stop = torch.zeros(1)
    while not stop.item():
        if failure.exists():
            failure.unlink()
            # At once: while Python tidies up its peers would be gone, asking for a new round before its own
            # agent knows, which then takes this for a change of members instead of a failure.
            os._exit(3)
        model.zero_grad()
        inputs = torch.full((2, 4), float(rank + 1))
        ((model(inputs) - 1) ** 2).mean().backward()
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
            parameter.data -= 0.01 / world * parameter.grad
        step += 1
        if rank == 0:
            torch.save({"model": model.state_dict(), "step": int(step)}, f"{CHECKPOINT}.new")
            os.replace(f"{CHECKPOINT}.new", CHECKPOINT)
            stop.fill_((FOLDER / "stop").exists())
        dist.broadcast(stop, 0)
        time.sleep(0.01)  # what a larger model would compute
    weights = [float(weight) for parameter in model.parameters() for weight in parameter.data.flatten()]
    tell("end", rank=rank, world=world, step=int(step), weights=weights)
    dist.destroy_process_group()


main()
