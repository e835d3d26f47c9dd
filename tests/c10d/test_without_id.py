"""torchrun without ``--rdzv-id``: several times in a row, and twice at once."""

import os
import subprocess
import sys
from pathlib import Path

from torch.distributed.run import get_args_parser

from rendezvous_core.dynamic.launchers import find_job
from tests.c10d.agents import PATIENCE, TORCHRUN, until

SCRIPT = """
import os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / f"began-{os.environ['NAME']}").touch()
sys.stdin.read()
"""


def torchrun(folder: Path, name: str, *arguments: str, nodes: str = "1") -> "subprocess.Popen[str]":
    """Start a job that works until its input ends; ``arguments`` are those of its script."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", TORCHRUN, f"--nnodes={nodes}", "--nproc-per-node=1"),
            *("--rdzv-backend=rendezvous", f"--rdzv-endpoint={folder / 'rendezvous.db'}"),
            "--rdzv-conf=use_backend=sqlite,keep_alive_interval=0.5,last_call_timeout=0.1",
            *(str(script), str(folder), *arguments),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "NAME": name},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(job: "subprocess.Popen[str]") -> tuple[int, str]:
    """Let a job end; return its exit code, and what it wrote."""
    _, told = job.communicate("", timeout=PATIENCE)
    return job.returncode, told


def test_the_same_command(tmp_path: Path) -> None:
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


def test_another_command_while_there_is_room(tmp_path: Path) -> None:
    first = torchrun(tmp_path, "first", nodes="1:4")
    until((tmp_path / "began-first").exists, "the first job's work")
    code, told = ends(torchrun(tmp_path, "second", "--lr=2", nodes="1:4"))
    assert code != 0
    assert "another command" in told.rpartition("Error")[2]
    assert "--rdzv-id" in told.rpartition("Error")[2]
    assert not (tmp_path / "began-second").exists()
    code, told = ends(first)
    assert code == 0, told


def test_what_torchrun_runs_is_told_from_its_own_options() -> None:
    """Whichever options this version of torch has."""
    options = [option for option in get_args_parser()._actions if option.dest != "help"]
    for option in options:
        for name in option.option_strings:
            words = [name] if option.nargs == 0 else [name, "1"]
            assert find_job(["torchrun", *words, "train.py", "x"]) == find_job(["torchrun", "train.py", "x"])
