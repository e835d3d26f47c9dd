"""The same torchrun command without ``--rdzv-id``: several times in a row, and twice at once."""

import os
import subprocess
import sys
from pathlib import Path

from tests.c10d.agents import PATIENCE, TORCHRUN, until

SCRIPT = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / f"began-{sys.argv[2]}").touch()
sys.stdin.read()
"""


def torchrun(folder: Path, name: str) -> "subprocess.Popen[str]":
    """Start a job that works until its input ends."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", TORCHRUN, "--nnodes=1", "--nproc-per-node=1"),
            *("--rdzv-backend=rendezvous", f"--rdzv-endpoint={folder / 'rendezvous.db'}"),
            "--rdzv-conf=use_backend=sqlite,keep_alive_interval=0.5",
            *(str(script), str(folder), name),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(job: "subprocess.Popen[str]") -> tuple[int, str]:
    """Let a job end; return its exit code, and what it wrote."""
    _, told = job.communicate("", timeout=PATIENCE)
    return job.returncode, told


def test_a_job_without_an_id(tmp_path: Path) -> None:
    code, told = ends(torchrun(tmp_path, "first"))
    assert code == 0, told
    second = torchrun(tmp_path, "second")
    until((tmp_path / "began-second").exists, "the second job's work")
    code, told = ends(torchrun(tmp_path, "third"))
    assert code != 0
    assert "--rdzv-id" in told.rpartition("Error")[2]
    assert not (tmp_path / "began-third").exists()
    code, told = ends(second)
    assert code == 0, told
