"""What launchers tell a node about itself, to the letter."""

import hashlib

import pytest

from rendezvous_core.dynamic.launchers import RANK_VARIABLES, find_job, find_rank_hint
from rendezvous_core.ports.limits import MAX_NODES


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0", 0),
        (" 3 ", 3),
        (str(MAX_NODES), MAX_NODES),
        (str(MAX_NODES + 1), None),
        ("000000005", 5),
        ("0000000005", None),
        ("1.0", None),
        ("\u00b2", None),
        ("-1", None),
    ],
)
def test_a_hint_is_a_number_of_at_most_nine_digits(text: str, hint: int | None) -> None:
    for variable in RANK_VARIABLES:
        assert find_rank_hint({variable: text}) == hint
    assert find_rank_hint({RANK_VARIABLES[0]: text, RANK_VARIABLES[-1]: "9"}) == (9 if hint is None else hint)


@pytest.mark.parametrize(
    "program",
    [
        "torchrun",
        "/usr/bin/torchrun",
        "C:\\Scripts\\torchrun",
        "/lib/torch/distributed/run.py",
        "/lib/torch/distributed/launch.py",
        "/lib/rendezvous_c10d/torchrun/__main__.py",
    ],
)
def test_torchrun_is_known_by_its_path(program: str) -> None:
    assert find_rank_hint({}, [program, "--node-rank", "4"]) == 4
    assert find_job([program, "train.py"]) != ""


@pytest.mark.parametrize("program", ["mytorchrun", "torchrun.sh", "run.py", "/torch/run.py"])
def test_nothing_else_is_taken_for_torchrun(program: str) -> None:
    assert find_rank_hint({}, [program, "--node-rank=4"]) is None
    assert find_job([program, "train.py"]) == ""


def test_the_first_rank_on_the_command_line_counts() -> None:
    assert find_rank_hint({}, ["torchrun", "--node-rank=4", "--node-rank=5"]) == 4
    assert find_rank_hint({}, ["torchrun", "--node-rank=x", "--node-rank=5"]) is None
    assert find_rank_hint({}, ["torchrun", "--not-node-rank=4"]) is None


def digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:16]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["train.py", "--lr", "1"], ["train.py", "--lr", "1"]),
        (["--nnodes", "2", "train.py"], ["train.py"]),
        (["--nnodes=2", "train.py"], ["train.py"]),
        (["-t", "3", "train.py"], ["train.py"]),
        (["-t3", "train.py"], ["train.py"]),
        (["-m", "train"], ["train"]),
        (["--m", "train"], ["train"]),
        (["-x", "2", "train.py"], ["train.py"]),
        (["--standalone", "train.py"], ["train.py"]),
        (["--no_python", "train"], ["train"]),
        (["--rdzv_conf", "--odd", "train.py", "-m"], ["train.py", "-m"]),
        (["caf\udce9.py"], ["caf\udce9.py"]),
        (["--nnodes"], []),
        ([], []),
    ],
)
def test_a_job_is_what_torchrun_runs_without_its_own_options(command: list[str], words: list[str]) -> None:
    assert find_job(["torchrun", *command]) == digest(*words)
