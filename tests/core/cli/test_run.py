"""``rdzv run``: nodes that meet, work, and meet again."""

import json
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from rendezvous_core import RendezvousError, store_from_env
from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import COMMAND, CONF, Rdzv, pair, wait_until_up
from tests.core.processes import wait_for_end

HELLO = [sys.executable, str(Path(__file__).parents[3] / "examples" / "hello.py")]
SHOW_ENVIRONMENT = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
FAIL = [sys.executable, "-c", "raise SystemExit(7)"]


def test_nodes_started_one_by_one_meet_and_end_the_run_together(rdzv: Rdzv) -> None:
    nodes = [rdzv.run("--nodes=3") for _ in range(3)]
    joined = [node.wait_for("joined", round=0, world_size=3) for node in nodes]
    assert sorted(event["rank"] for event in joined) == [0, 1, 2]
    assert len({event["round_id"] for event in joined}) == 1
    for node, event in zip(nodes, joined, strict=True):
        assert wait_until_up(node) == ["up", str(event["rank"]), "of", "3", "in", "0"]
    rdzv.open_gate()
    assert [node.wait() for node in nodes] == [ExitCode.OK] * 3
    assert rdzv.status()["phase"] == "closed"


def test_a_command_gets_what_it_needs_to_know(rdzv: Rdzv) -> None:
    nodes = [rdzv.run("--nodes=2", command=SHOW_ENVIRONMENT) for _ in range(2)]
    environments = [json.loads(node.wait_for("output")["text"]) for node in nodes]
    assert sorted(environment["RANK"] for environment in environments) == ["0", "1"]
    for environment in environments:
        assert environment["WORLD_SIZE"] == "2"
        assert (environment["LOCAL_RANK"], environment["LOCAL_WORLD_SIZE"]) == ("0", "1")
        assert (environment["GROUP_RANK"], environment["GROUP_WORLD_SIZE"]) == (environment["RANK"], "2")
        assert (environment["NODE_RANK"], environment["RDZV_RESTART_COUNT"]) == (environment["RANK"], "0")
        assert environment["MASTER_ADDR"] == "127.0.0.1"
        assert environment["MASTER_PORT"] == environments[0]["MASTER_PORT"]
        assert environment["RDZV_ROUND"] == "0"
        assert environment["RDZV_RUN_ID"] == "job"
    stores = [store_from_env(environment) for environment in environments]
    stores[0].set("key", b"value")
    assert stores[1].get("key") == b"value"


def test_a_command_gets_what_its_framework_looks_for(rdzv: Rdzv) -> None:
    exports = ["--export=jax", "--export=tensorflow", "--export=torch"]
    nodes = [rdzv.run("--nodes=2", *exports, command=SHOW_ENVIRONMENT) for _ in range(2)]
    environments = [json.loads(node.wait_for("output")["text"]) for node in nodes]
    environments.sort(key=lambda environment: str(environment["RANK"]))
    configs = [json.loads(environment["TF_CONFIG"]) for environment in environments]
    assert configs[0]["cluster"] == configs[1]["cluster"]
    workers = configs[0]["cluster"]["worker"]
    assert len({*workers}) == 2
    assert all(worker.startswith("127.0.0.1:") for worker in workers)
    for rank, (environment, config) in enumerate(zip(environments, configs, strict=True)):
        assert config["task"] == {"type": "worker", "index": rank}
        assert environment["JAX_COORDINATOR_ADDRESS"] == f"127.0.0.1:{environment['MASTER_PORT']}"
        assert (environment["JAX_NUM_PROCESSES"], environment["JAX_PROCESS_ID"]) == ("2", str(rank))
        assert (environment["TORCHELASTIC_RUN_ID"], environment["TORCHELASTIC_RESTART_COUNT"]) == ("job", "0")


def test_a_framework_that_nobody_knows_is_refused(rdzv: Rdzv) -> None:
    done = rdzv.call("run", "--nodes=1", "--export=caffe", "--", "true")
    assert done.returncode == ExitCode.USAGE
    assert "'caffe'; there are: jax, tensorflow, torch" in done.stderr


def test_a_program_that_was_not_started_by_rdzv_is_told_so() -> None:
    with pytest.raises(RendezvousError, match="rdzv run"):
        store_from_env({})


def test_the_example_runs_as_the_readme_says(rdzv: Rdzv) -> None:
    done = rdzv.call("run", "--spawn=4", "--", *HELLO, RDZV_RUN_ID="")
    assert done.returncode == ExitCode.OK, done.stderr
    assert sorted(line.split(";")[0][4:] for line in done.stdout.splitlines() if "Hello" in line) == [
        f"Hello from rank {rank} of 4" for rank in range(4)
    ]
    assert "together they made 10" in done.stdout
    assert "4 of 4 nodes finished" in done.stderr


def test_each_spawn_is_a_run_of_its_own(rdzv: Rdzv) -> None:
    runs = set()
    for _ in range(2):
        node = rdzv.run("--spawn=1", command=["true"], RDZV_RUN_ID="")
        runs.add(node.wait_for("spawned")["run_id"])
        assert node.wait() == ExitCode.OK
    assert len(runs) == 2


def test_spawned_nodes_tell_json_only_and_who_they_are(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=3", command=SHOW_ENVIRONMENT)
    assert group.wait() == ExitCode.OK
    assert "line" not in {event["event"] for event in group.events}
    outputs = [event for event in group.events if event["event"] == "output"]
    assert sorted(event["local_rank"] for event in outputs) == [0, 1, 2]
    for event in outputs:
        environment = json.loads(event["text"])
        assert environment["LOCAL_RANK"] == str(event["local_rank"])
        assert (environment["LOCAL_WORLD_SIZE"], environment["WORLD_SIZE"]) == ("3", "3")
        assert (environment["GROUP_RANK"], environment["GROUP_WORLD_SIZE"]) == ("0", "1")
    assert group.events[-1]["node_exit_codes"] == [0, 0, 0]


def test_commands_start_again_when_a_node_comes(rdzv: Rdzv) -> None:
    first = rdzv.run("--nodes=1:2", f"--conf={CONF}")
    assert wait_until_up(first)[1:] == ["0", "of", "1", "in", "0"]
    second = rdzv.run("--nodes=1:2", f"--conf={CONF}")
    first.wait_for("restarting", reason="membership")
    assert wait_until_up(first)[1:] == ["0", "of", "2", "in", "1"]
    assert wait_until_up(second)[1:] == ["1", "of", "2", "in", "1"]
    rdzv.open_gate()
    assert [first.wait(), second.wait()] == [ExitCode.OK, ExitCode.OK]


def test_a_node_without_restarts_left_leaves_and_the_others_go_on(rdzv: Rdzv) -> None:
    conf = f"--conf={CONF},last_call_timeout=60"  # however slowly one of them starts
    steady = rdzv.run("--nodes=1:2", conf)
    failing = rdzv.run("--nodes=1:2", conf, "--max-restarts=1", command=FAIL)
    failing.wait_for("restarting", reason="failure", exit_code=7)
    assert failing.wait() == 7
    assert "exited with 7" in failing.events[-1]["text"]
    assert [event["event"] for event in failing.events].count("started") == 2
    while wait_until_up(steady)[3] != "1":
        pass
    assert rdzv.status()["phase"] == "complete"
    rdzv.open_gate()
    assert steady.wait() == ExitCode.OK


def test_a_command_that_fails_at_first_may_succeed_later(rdzv: Rdzv, tmp_path: Path) -> None:
    once = tmp_path / "once"
    script = f"import os, sys; os.path.exists({str(once)!r}) or (open({str(once)!r}, 'w'), sys.exit(1))"
    node = rdzv.run("--nodes=1", "--max-restarts=1", command=[sys.executable, "-c", script])
    node.wait_for("joined", round=0)
    node.wait_for("joined", round=1)
    assert node.wait() == ExitCode.OK


def test_spares_of_a_run_that_is_closed_end_well(rdzv: Rdzv) -> None:
    worker = rdzv.run("--nodes=1")
    wait_until_up(worker)
    spares = [rdzv.run("--nodes=1") for _ in range(2)]
    for spare in spares:
        spare.wait_for("waiting")
    rdzv.call("close")
    assert [spare.wait() for spare in spares] == [ExitCode.OK, ExitCode.OK]
    assert "spare" in spares[0].events[-1]["text"]
    rdzv.open_gate()
    assert worker.wait() == ExitCode.OK


def test_a_run_closed_from_outside_lets_its_commands_finish(rdzv: Rdzv) -> None:
    nodes = pair(rdzv)
    assert rdzv.call("close").returncode == ExitCode.OK
    for node in nodes:
        node.wait_for("closed")
    rdzv.open_gate()
    assert [node.wait() for node in nodes] == [ExitCode.OK, ExitCode.OK]


def test_a_command_that_a_signal_ends_is_told_as_shells_do(rdzv: Rdzv) -> None:
    done = rdzv.call("run", "--nodes=1", "--", "sh", "-c", "kill -USR2 $$")
    assert done.returncode == 128 + signal.SIGUSR2
    assert "killed by SIGUSR2" in done.stderr


def test_a_command_that_fails_after_the_run_was_closed_has_failed(rdzv: Rdzv) -> None:
    fail_at_last = [*COMMAND, "--fail"]
    node = rdzv.run("--nodes=1", "--max-restarts=3", command=fail_at_last)
    wait_until_up(node)
    rdzv.call("close")
    node.wait_for("closed")
    rdzv.open_gate()
    node.wait_for("ended", exit_code=1)
    assert node.wait() == 1
    assert "is closed" in node.events[-1]["text"]


def test_while_it_waits_it_says_who_is_missing(rdzv: Rdzv) -> None:
    node = rdzv.run("--nodes=3")
    look = node.wait_for("waiting")["look"]
    assert (look["min_nodes"], look["missing"], look["phase"]) == (3, 2, "joining")
    assert [each["pid"] for each in look["nodes"]] == [node.pid]
    rdzv.run("--nodes=3")
    while node.wait_for("waiting")["look"]["missing"] != 1:
        pass


def test_in_a_pipe_it_says_so_in_plain_lines(rdzv: Rdzv) -> None:
    done = rdzv.call("run", "--nodes=2", "--conf=join_timeout=2", "--", "true")
    assert done.returncode == ExitCode.TIMEOUT
    waits = r"rdzv: \d\d:\d\d:\d\d waiting: round 0 is forming: 1 of 2 nodes here, 1 missing"
    assert len(re.findall(waits, done.stderr)) == 1, "nothing new, no new line"
    assert f"did not complete within 2 s on the backend 'sqlite' at {rdzv.endpoint}: 1 of" in done.stderr
    assert re.search(r"1 of at least 2 nodes .* heard [0-9]{1,3} s ago\); 1 more needed", done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_output_of_a_single_command_is_its_own(rdzv: Rdzv) -> None:
    done = rdzv.call("run", "--nodes=1", "--", "sh", "-c", "echo out; echo err >&2; test -z $RDZV_NOTHING")
    assert done.returncode == ExitCode.OK
    assert done.stdout == "out\n"
    assert "err\n" in done.stderr


def test_no_password_is_on_a_command_line(rdzv: Rdzv) -> None:
    group = rdzv.run("--spawn=2", "--nodes=2", RDZV_CONF="metadata=password=hunter2")
    for _ in range(2):
        group.wait_for("output")
    pids = [node["pid"] for node in rdzv.status()["nodes"]]
    assert len(pids) == 2
    for pid in pids:
        assert "hunter2" not in Path(f"/proc/{pid}/cmdline").read_text()
        assert "hunter2" in Path(f"/proc/{pid}/environ").read_text()


def test_whatever_the_command_leaves_running_ends_with_it(rdzv: Rdzv) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid)"
    node = rdzv.run("--nodes=1", command=[sys.executable, "-c", script])
    helper = int(node.wait_for("output")["text"])
    assert node.wait() == ExitCode.OK
    wait_for_end(helper)


def test_standard_input_reaches_a_single_command(rdzv: Rdzv, tmp_path: Path) -> None:
    text = tmp_path / "input"
    text.write_text("from a file\n")
    arguments = [sys.executable, "-m", "rendezvous_core.cli", "run", "--nodes=1", "--", "cat"]
    reading, writing = os.pipe()
    with text.open() as source, os.fdopen(reading) as output:
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            {**os.environ, **rdzv.environment},
            file_actions=[(os.POSIX_SPAWN_DUP2, source.fileno(), 0), (os.POSIX_SPAWN_DUP2, writing, 1)],
        )
        os.close(writing)
        assert output.read() == "from a file\n"
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.OK
