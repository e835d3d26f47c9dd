"""What is typed wrong at ``rdzv`` is refused by name, and what can be typed is shown."""

import json
import re
from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from rendezvous_core.ports.settings import HANDLER_OPTIONS
from tests.core.cli.conftest import Rdzv


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ("join_timout=5", "The backend 'sqlite' has no option 'join_timout'; did you mean 'join_timeout'?"),
        ("timeout=5", "The backend 'sqlite' has no option 'timeout'; did you mean 'join_timeout'?"),
        (
            "use_backend=redis",
            "The backend 'sqlite' has no option 'use_backend': see 'rdzv backends --options",
        ),
        ("join_timeout=1e10", "must be a positive number of seconds from 0.001 to 1000000000"),
        ("keep_alive_max_attempt=2.5", "must be an integer from 1 to 10000"),
        ("metadata=rack", "'metadata' ('rack') must be as rack=r1;zone=a"),
    ],
)
@pytest.mark.parametrize(
    "command", [["run", "--nodes=1"], ["run", "--spawn=2"], ["status"], ["watch"], ["close"]]
)
def test_an_option_that_cannot_be_meant_is_refused(
    rdzv: Rdzv, command: list[str], conf: str, message: str
) -> None:
    done = rdzv.call(*command, f"--conf={conf}", *(["--", "true"] if command[0] == "run" else []))
    assert (done.returncode, done.stdout) == (ExitCode.USAGE, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path(rdzv.endpoint).exists()


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("etcd://h1:2379,h2", "'etcd-v3' takes none: --backend etcd-v3 --endpoint h1:2379,h2"),
        ("tcp://node0:29400", "'c10d' takes none: --backend c10d --endpoint node0:29400"),
        ("file:///tmp/run.db", "'sqlite' takes none: --backend sqlite --endpoint /tmp/run.db"),
        ("nats://me:hunter2@host", "'nats://me:***@host' has the scheme of no backend"),
    ],
)
@pytest.mark.parametrize("command", [["run", "--spawn=2"], ["status"]])
def test_an_endpoint_with_a_scheme_makes_no_directory(
    rdzv: Rdzv, tmp_path: Path, command: list[str], endpoint: str, message: str
) -> None:
    arguments = [f"--endpoint={endpoint}", *(["--", "true"] if command[0] == "run" else [])]
    before = set(tmp_path.iterdir())
    done = rdzv.call(*command, *arguments, RDZV_BACKEND="", PWD=str(tmp_path))
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert "hunter2" not in done.stderr
    assert set(tmp_path.iterdir()) == before


def test_a_scheme_names_the_backend(rdzv: Rdzv) -> None:
    done = rdzv.call("status", "--endpoint=redis://me:hunter2@host:port", RDZV_BACKEND="")
    assert done.returncode == ExitCode.USAGE
    assert re.search("pip install rendezvous-redis|'host:port' must have a port", done.stderr)


@pytest.mark.parametrize("command", [["run", "--spawn=2"], ["status"]])
def test_a_bare_name_without_a_backend_makes_no_file(rdzv: Rdzv, tmp_path: Path, command: list[str]) -> None:
    arguments = ["--endpoint=redis.example.org", *(["--", "true"] if command[0] == "run" else [])]
    done = rdzv.call(*command, *arguments, RDZV_BACKEND="")
    assert done.returncode == ExitCode.USAGE
    assert "Which backend is at 'redis.example.org'? Name it with --backend" in done.stderr
    assert "write --endpoint ./redis.example.org" in done.stderr
    assert not Path("redis.example.org").exists()


@pytest.mark.parametrize("endpoint", ["redis:host", "redis:/host", "redis:", "host:2379"])
def test_a_file_of_sqlite_does_not_begin_as_an_address_does(rdzv: Rdzv, endpoint: str) -> None:
    done = rdzv.call("status", f"--endpoint={endpoint}")
    assert done.returncode == ExitCode.USAGE
    assert f"is the path of a file, not '{endpoint}'" in done.stderr
    assert not Path(endpoint).exists()


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["statsu"], "There is no command 'statsu'; did you mean 'status'?"),
        (["xyzzy"], "There is no command 'xyzzy': there are backends, "),
        (["status", "--id=job"], "There is no option '--id'; did you mean '--run-id'?"),
        (["run", "--node=2", "--", "true"], "There is no option '--node'; did you mean '--nodes'?"),
        (["run", "--spawned=2", "--", "true"], "There is no option '--spawned'; did you mean '--spawn'?"),
        (["--hepl"], "There is no option '--hepl'; did you mean '--help'?"),
        (["run", "--xyzzy", "--", "true"], "There is no option '--xyzzy'."),
    ],
)
def test_what_is_misspelt_is_named(rdzv: Rdzv, typed: list[str], message: str) -> None:
    done = rdzv.call(*typed)
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert "--spawned-as" not in done.stderr


def test_an_endpoint_of_sqlite_is_no_url(rdzv: Rdzv) -> None:
    done = rdzv.call("status", "--endpoint=redis://me:hunter2@host")
    assert done.returncode == ExitCode.USAGE
    assert "the path of a file, not 'redis://me:***@host'" in done.stderr


def test_the_options_of_a_backend_are_shown(rdzv: Rdzv) -> None:
    shown = rdzv.call("backends", "--options", "static").stdout
    for name in ("rank", "store_backend", *(option.name for option in HANDLER_OPTIONS)):
        assert f"\n{name} " in shown
    assert "seconds up to 86400" in shown


def test_the_options_of_all_backends_are_shown(rdzv: Rdzv) -> None:
    shown = rdzv.call("backends", "--options").stdout
    assert "sqlite has none of its own." in shown
    assert "\nstore_backend " in shown
    assert shown.count("\njoin_timeout ") == 1


def test_the_options_are_shown_to_programs(rdzv: Rdzv) -> None:
    shown = json.loads(rdzv.call("backends", "--options", "sqlite", "--json").stdout)
    options = {option["name"]: option for option in shown["options"]["sqlite"]}
    assert list(options) == [option.name for option in HANDLER_OPTIONS]
    assert options["join_timeout"]["default"] == 600
    assert options["join_timeout"]["values"].startswith("a positive number of seconds")


def test_the_options_of_nobody(rdzv: Rdzv) -> None:
    done = rdzv.call("backends", "--options", "nope")
    assert done.returncode == ExitCode.USAGE
    assert "'nope' is not registered" in done.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--grace=nan", "nan is not a number of seconds"),
        ("--grace=inf", "'--grace'"),
        ("--grace=1e400", "'--grace'"),
        ("--nodes=2000000", "must be an integer from 1 to 1000000"),
        ("--local-addr=a b", "must be a host name or an IP address"),
        (f"--run-id={'x' * 600}", "has 600 characters; it may have 512"),
        ("--run-id=\udcff", "cannot be written as UTF-8"),
        ("--endpoint=/tmp/\udcff", "cannot be written as UTF-8"),
    ],
)
def test_what_a_node_is_told_has_a_range(rdzv: Rdzv, option: str, message: str) -> None:
    done = rdzv.call("run", "--nodes=1", option, "--", "true")
    assert done.returncode == ExitCode.USAGE
    assert message in done.stderr
    assert "Traceback" not in done.stderr
