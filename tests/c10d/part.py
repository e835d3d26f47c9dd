"""A worker that has nothing to do with the others: it ends, or fails, when the folder says so."""

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[1])
ADDRESS = os.environ["AGENT_ADDRESS"]

line = {
    "event": "start",
    "address": ADDRESS,
    "rank": int(os.environ["RANK"]),
    "world": int(os.environ["WORLD_SIZE"]),
    "master": f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}",
}
os.write(1, json.dumps(line).encode() + b"\n")
while True:
    if (FOLDER / f"finish-{ADDRESS}").exists():
        sys.exit(0)
    if (FOLDER / f"fail-{ADDRESS}").exists():
        sys.exit(3)
    time.sleep(0.05)
