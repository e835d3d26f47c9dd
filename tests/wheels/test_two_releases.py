"""Nodes of two releases in one run: they form a round, or the second says which release the run is of.

The other release is ``RENDEZVOUS_PREVIOUS``, a wheel of core or what pip knows as one, such as
``rendezvous-core==0.1.0``; without it, it is this one, installed a second time.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.wheels.installing import Build, environment_at, install, run

PATIENCE = 120.0
NODE = """
import json, sys
from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.protocol.codec import VERSION

import rendezvous_core

told = {"from": rendezvous_core.__file__, "speaks": VERSION}
handler = get_rendezvous_handler(RendezvousParameters("sqlite", sys.argv[1], "run", 2, 2, join_timeout=20))
try:
    info = handler.next_rendezvous()
    info.store.barrier("end", info.world_size)
    told |= {"rank": info.rank, "size": info.world_size}
    handler.leave(done=True)
except RendezvousError as error:
    told["error"] = str(error)
print(json.dumps(told))
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
    ours, theirs = (json.loads(node.communicate(timeout=PATIENCE)[0]) for node in nodes)
    assert Path(theirs["from"]).is_relative_to(other)
    assert not Path(ours["from"]).is_relative_to(other)
    if ours["speaks"] == theirs["speaks"]:
        assert {ours["rank"], theirs["rank"]} == {0, 1}
        assert ours["size"] == theirs["size"] == 2
        return
    # Whoever came first waits in vain for a node of its release.
    refused = [told for told in (ours, theirs) if "but this node speaks version" in told.get("error", "")]
    assert len(refused) == 1, (ours, theirs)
    assert f"speaks version {refused[0]['speaks']}" in refused[0]["error"]
