"""Errors are a line or two, and every kind has its exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import RDZV, Rdzv

DOCS = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (
            ["run", "--nodes=2", "--", "no-such-program"],
            ExitCode.NOT_FOUND,
            "'no-such-program' was not found",
        ),
        (["run", "--nodes=2", "--", "/etc/passwd"], ExitCode.NOT_EXECUTABLE, "is not executable"),
        (["run", "--", "true"], ExitCode.USAGE, "--nodes 4"),
        (["run", "--nodes=2", "--run-id=", "--", "true"], ExitCode.USAGE, "--run-id"),
        (["run", "--nodes=0", "--", "true"], ExitCode.USAGE, "'0' must be at least 1"),
        (["run", "--nodes=4:2", "--", "true"], ExitCode.USAGE, "its end not below its start"),
        (["run", "--nodes=two", "--", "true"], ExitCode.USAGE, "must be a number of nodes"),
        (["run", "--nodes=2"], ExitCode.USAGE, "COMMAND"),
        (
            ["run", "--nodes=2", "--conf=nonsense", "--", "true"],
            ExitCode.USAGE,
            "'nonsense' must have a value",
        ),
        (["run", "--nodes=2", "--conf=min_nodes=3", "--", "true"], ExitCode.USAGE, "'min_nodes'"),
        (
            ["run", "--nodes=2", "--conf=join_timeout=-1", "--", "true"],
            ExitCode.USAGE,
            "'join_timeout' ('-1')",
        ),
        (["run", "--spawn=2", "--backend=nope", "--", "true"], ExitCode.USAGE, "'nope' is not registered"),
        (
            ["run", "--nodes=1", "--backend=static", "--endpoint=[::1]:9", "--conf=rank=0", "--", "true"],
            ExitCode.USAGE,
            "'static' has no members that come and go",
        ),
        (["status", "--endpoint=localhost:2379"], ExitCode.USAGE, "path of a file"),
        (["status", "--endpoint=/proc/nowhere/db"], ExitCode.UNREACHABLE, "/proc/nowhere"),
        (["watch", "--endpoint=/proc/nowhere/db"], ExitCode.UNREACHABLE, "/proc/nowhere"),
        (["run", "--spawn=2", "--endpoint=/proc/nowhere/db", "--", "true"], ExitCode.UNREACHABLE, "nowhere"),
        (["run", "--nodes=2", "--conf=join_timeout=0.5", "--", "true"], ExitCode.TIMEOUT, "1 more needed"),
        (["nonsense"], ExitCode.USAGE, "nonsense"),
    ],
)
def test_an_error_is_short_and_has_its_exit_code(
    rdzv: Rdzv, arguments: list[str], code: ExitCode, text: str
) -> None:
    done = rdzv.call(*arguments)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    message = [line for line in done.stderr.splitlines() if not line.startswith(("Usage:", "Try"))]
    assert 1 <= len([line for line in message if line]) <= 2
    assert done.stdout == ""


def test_nodes_whose_settings_differ_are_told(rdzv: Rdzv) -> None:
    rdzv.run("--nodes=2").wait_for("waiting")
    done = rdzv.call("run", "--nodes=3", "--", "true")
    assert done.returncode == ExitCode.BAD_STATE
    assert "max_nodes is 3 here and 2 there" in done.stderr


@pytest.mark.parametrize("how", [{"option": "--debug"}, {"RDZV_DEBUG": "1"}])
def test_a_traceback_is_shown_on_request(rdzv: Rdzv, how: dict[str, str]) -> None:
    option = how.pop("option", None)
    done = rdzv.call("status", *([option] if option else []), "--endpoint=/proc/nowhere/db", **how)
    assert done.returncode == ExitCode.UNREACHABLE
    assert "Traceback" in done.stderr


def test_without_its_extra_it_says_how_to_install_it(tmp_path: Path) -> None:
    # An interpreter that finds no click: its packages are hidden, all but ours and what we depend on.
    script = (
        "import sys, importlib.util as util; real = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name in ('click', 'rich') else real(name, *rest);"
        "from rendezvous_core.cli.entry import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.FAILED
    assert 'pip install "rendezvous-core[cli]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error_of_ours(rdzv: Rdzv) -> None:
    arguments = " ".join([*RDZV, "run", "--spawn=2", "--json", "--", "echo", "hello"])
    done = subprocess.run(
        ["/bin/sh", "-c", f"({arguments}; echo code $? >&2) | head -n 1"],
        env={**os.environ, **rdzv.environment, "RDZV_RUN_ID": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"spawned"' in done.stdout
    assert done.stderr == "code 0\n"


def test_the_documentation_knows_every_exit_code_and_command(rdzv: Rdzv) -> None:
    text = DOCS.read_text()
    for code in ExitCode:
        assert f"| {code.value} | `{code.name}` |" in text
    for command in ("run", "status", "watch", "close", "backends", "doctor", "completion"):
        assert f"## `rdzv {command}" in text or f"`rdzv {command}`" in text
        shown = rdzv.call(command, "--help").stdout
        for option in {word.strip(",") for word in shown.split() if word.startswith("--")}:
            assert f"`{option}" in text, f"{option} of rdzv {command}"
