"""Nodes of two releases in one run: they form a round, or the second says which release the run is of.

The other release is ``RENDEZVOUS_PREVIOUS``, a wheel of core or what pip knows as one, such as
``rendezvous-core==0.1.0``; without it, it is this one, installed a second time.
"""

import json
import os
import subprocess
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from tests.wheels.installing import Build, environment_at, install, run

PATIENCE = 600.0
NODE = """
import json, sys
import rendezvous_core
from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.records.codec import VERSION

print(json.dumps({"from": rendezvous_core.__file__, "speaks": VERSION}), flush=True)
handler = get_rendezvous_handler(RendezvousParameters("sqlite", sys.argv[1], "run", 2, 2))
try:
    info = handler.next_rendezvous()
    info.store.barrier("end", info.world_size)
    print(json.dumps({"rank": info.rank, "size": info.world_size}))
    handler.leave(done=True)
except RendezvousError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.mark.timeout(1200)
def test_two_releases_meet_or_say_why_not(build: Build, tmp_path: Path) -> None:
    present = build("rendezvous-core").wheel
    binaries, other = install(tmp_path, present), tmp_path / "other"
    previous = os.environ.get("RENDEZVOUS_PREVIOUS", present)
    pip = binaries / "python", "-m", "pip", "install", "-q", "--no-deps"
    run(*pip, "--target", other, previous, cwd=tmp_path)
    environment = environment_at(tmp_path)
    nodes = [
        subprocess.Popen(
            [binaries / "python", "-c", NODE, tmp_path / "run.db"], stdout=subprocess.PIPE, env=each
        )
        for each in (environment, {**environment, "PYTHONPATH": str(other)})
    ]
    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(told_by, node) for node in nodes]
        first, _ = wait(ends, PATIENCE, FIRST_COMPLETED)
        if any("error" in end.result() for end in first):
            for node in nodes:
                node.kill()  # the other one waits in vain for a node of its release
        ours, theirs = (end.result() for end in ends)
    assert Path(theirs["from"]).is_relative_to(other)
    assert not Path(ours["from"]).is_relative_to(other)
    if ours["speaks"] == theirs["speaks"]:
        assert {ours.get("rank"), theirs.get("rank")} == {0, 1}, (ours, theirs)
        assert ours["size"] == theirs["size"] == 2
    else:
        refused, waits = sorted((ours, theirs), key=lambda told: "error" not in told)
        assert (
            f"version {waits['speaks']}, but this node speaks version {refused['speaks']}" in refused["error"]
        )
        assert "error" not in waits


def told_by(node: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Return all that a node says until it ends."""
    told: dict[str, Any] = {}
    for line in node.communicate(timeout=PATIENCE)[0].splitlines():
        told |= json.loads(line)
    return told
