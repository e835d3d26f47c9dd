"""What a shell is offered where the tab key is pressed."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.core.cli.conftest import RDZV, Rdzv


def offered(rdzv: Rdzv, line: str, **environment: str) -> list[str]:
    """What is offered for the last word of ``line``, as bash asks for it."""
    done = rdzv.call(
        _RDZV_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(line.count(" ")),
        **environment,
    )
    assert done.stderr == ""
    return [entry.partition(",")[2] for entry in done.stdout.split()]


def test_commands_and_options_are_offered_but_not_hidden_ones(rdzv: Rdzv) -> None:
    assert offered(rdzv, "rdzv sta") == ["status"]
    assert offered(rdzv, "rdzv run --sp") == ["--spawn"]


def test_backends_and_their_options_are_offered(rdzv: Rdzv) -> None:
    assert {"sqlite", "static"} <= {*offered(rdzv, "rdzv status --backend s")}
    assert offered(rdzv, "rdzv backends --options sq") == ["sqlite"]
    conf = offered(rdzv, "rdzv run --conf join_timeout=5,last")
    # bash shows what is behind the comma, and needs all of the word.
    assert conf == ["join_timeout=5,last_call_timeout=", "join_timeout=5,last_call="]


def test_the_runs_are_offered_that_are_there(rdzv: Rdzv) -> None:
    for run_id in ("job-1", "job-2", "other"):
        assert rdzv.call("run", f"--run-id={run_id}", "--nodes=1", "--", "true").returncode == 0
    environment = {"RDZV_RUN_ID": ""}
    assert offered(rdzv, "rdzv status --run-id job", **environment) == ["job-1", "job-2"]
    elsewhere = f"rdzv watch --endpoint {Path(rdzv.endpoint).with_name('none.db')} --run-id job"
    assert offered(rdzv, elsewhere, **environment) == []


def test_what_cannot_be_found_out_is_not_offered_and_no_error(rdzv: Rdzv) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    line = f"rdzv status --backend redis --endpoint 127.0.0.1:{port} --run-id job"
    assert offered(rdzv, line) == []
    assert offered(rdzv, "rdzv status --backend nope --conf pass") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_for_each_shell(rdzv: Rdzv, shell: str) -> None:
    done = rdzv.call("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_RDZV_COMPLETE={shell}_complete" in done.stdout


def test_bash_takes_it(rdzv: Rdzv, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    program = tmp_path / "rdzv"
    program.write_text(f'#!/bin/sh\nexec {" ".join(RDZV)} "$@"\n')
    program.chmod(0o755)
    script = (
        f'PATH={tmp_path}:$PATH; eval "$(rdzv completion bash)"; '
        'COMP_WORDS=(rdzv stat); COMP_CWORD=1; _rdzv_completion rdzv; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("status\n", "")
