"""The first hour of a user, from the README, in a fresh environment: what works, and each usual mistake."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.core.processes import signals_as_in_a_terminal
from tests.wheels.installing import ROOT, Build, environment_at, install

pytestmark = pytest.mark.timeout(1200)
"""As the first of them installs what all use."""

PATIENCE = 120.0
README = (ROOT / "README.md").read_text()


class User:
    """Somebody with core and its command line, in a directory of their own."""

    def __init__(self, home: Path, binaries: Path) -> None:
        self.home = home
        self._environment = {
            **{name: value for name, value in environment_at(home).items() if not name.startswith("RDZV_")},
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        }

    def type(self, line: str, code: int = 0, **environment: str) -> str:
        """Type ``line`` into a shell, which must end with ``code``; return all that was to be seen."""
        done = subprocess.run(
            line,
            shell=True,
            cwd=self.home,
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout

    def start(self, line: str) -> "subprocess.Popen[str]":
        """Begin to run ``line``, whose errors are to be read."""
        with signals_as_in_a_terminal():
            return subprocess.Popen(
                line.split(),
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )


@pytest.fixture(scope="module")
def user(build: Build, tmp_path_factory: pytest.TempPathFactory) -> User:
    home = tmp_path_factory.mktemp("user")
    binaries = install(home, f"{build('rendezvous-core').wheel}[cli]")
    (home / "examples").mkdir()
    (home / "examples" / "hello.py").write_text((ROOT / "examples" / "hello.py").read_text())
    return User(home, binaries)


def test_the_quickstart(user: User) -> None:
    found = re.search(r'^\$ python -m pip install "\./rendezvous-core\[cli\]" && (.*)$', README, re.MULTILINE)
    assert found, "the README begins with one line"
    printed = user.type(found[1])
    for rank in range(4):
        assert f"Hello from rank {rank} of 4" in printed
    assert re.search(r"see them with: rdzv watch --run-id spawn-\w+\n", printed)
    assert re.search(r"^spawn-\w+ +closed ", user.type("rdzv status"), re.MULTILINE)  # without an id: all


def test_the_program_of_the_readme(user: User) -> None:
    _, _, program = README.partition("In a program:\n\n```python\n")
    (user.home / "program.py").write_text(program.partition("```")[0])
    nodes = [user.start("python program.py") for _ in range(2)]
    printed = [node.communicate(timeout=PATIENCE) for node in nodes]
    assert sorted(out for out, _ in printed) == ["0 2\n", "1 2\n"], printed


def test_what_is_installed_and_whether_it_works(user: User) -> None:
    listed = user.type("rdzv backends")
    assert "sqlite" in listed
    assert "not installed: pip install rendezvous-redis" in listed
    assert re.search(r"^join_timeout +seconds +600 s", user.type("rdzv backends --options"), re.MULTILINE)
    assert re.search(r"^ok +two nodes meet +round", user.type("rdzv doctor"), re.MULTILINE)


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("rdzv rnu --spawn 2 -- true", 2, "no command 'rnu'; did you mean 'run'?"),
        ("rdzv run --spwan 2 -- true", 2, "no option '--spwan'; did you mean '--spawn'?"),
        ("rdzv run --run-id x -- true", 2, "as in --nodes 4 or --nodes 2:4"),
        ("rdzv run --nodes 2 -- true", 2, "--run-id, or RDZV_RUN_ID"),
        ("rdzv run --spawn 2 -- no-such-program", 127, "'no-such-program' was not found"),
        ("rdzv run --spawn 1 -- sh -c 'exit 7'", 7, "exited with 7"),
        (
            "rdzv run --spawn 2 --endpoint redis://me:hunter2@host -- true",
            2,
            "'redis' is not registered. Install it: pip install rendezvous-redis.",
        ),
        ("rdzv run --spawn 2 --endpoint redis.example -- true", 2, "Which backend is at 'redis.example'?"),
        (
            "rdzv run --spawn 2 --endpoint localhost:6379 -- true",
            2,
            "the path of a file, not 'localhost:6379'",
        ),
        ("rdzv run --spawn 2 --endpoint etcd://h:2379 -- true", 2, "--backend etcd-v3 --endpoint h:2379"),
        (
            "rdzv run --spawn 2 --backend redsi -- true",
            2,
            "did you mean 'redis'? Install that: pip install rendezvous-redis.",
        ),
        ("rdzv run --spawn 2 --conf join_timout=5 -- true", 2, "did you mean 'join_timeout'?"),
        ("rdzv run --spawn 2 --conf join_timeout=soon -- true", 2, "must be a positive number of seconds"),
        ("rdzv run --spawn 2 --conf passwrod=hunter2 -- true", 2, "has no option 'passwrod'"),
        (
            "rdzv run --nodes 2 --run-id lonely --conf join_timeout=1 -- true",
            4,
            "rendezvous.db (by XDG_RUNTIME_DIR): 1 of at least 2 nodes are there",
        ),
        ("rdzv status --run-id nope", 8, "There is no run 'nope' on the backend 'sqlite' at "),
        ("rdzv doctor --backend static", 2, "it can be joined, not looked at"),
        ("rdzv doctor --local-addr nowhere.invalid", 9, "Give each node an address that all others reach"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(user: User, line: str, code: int, told: str) -> None:
    before = {path.name for path in user.home.iterdir()}
    printed = user.type(line, code)
    assert told in printed
    assert "hunter2" not in printed
    assert {path.name for path in user.home.iterdir()} == before  # no file `redis:` either


def test_the_same_command_twice(user: User) -> None:
    line = "rdzv run --nodes 1 --run-id again --local-addr 127.0.0.1"
    user.type(f"{line} -- true")
    refused = user.type(f"{line} -- true", 5)
    assert (
        "remove this run with 'rdzv delete --run-id again', or begin it anew with the option reopen=true"
        in (refused)
    )
    user.type(f"{line} --conf reopen=true -- true")
    user.type("rdzv delete --run-id again")
    user.type(f"{line} -- true")


def test_who_waits_is_told_who_is_missing_and_may_give_up(user: User) -> None:
    node = user.start("rdzv run --nodes 2 --run-id early -- true")
    assert node.stderr is not None
    waiting = node.stderr.readline()
    assert "waiting: round 0 is forming: 1 of 2 nodes here, 1 missing; here: " in waiting
    assert _words(user, "rdzv status --run-id ear") == ["early"]
    node.send_signal(signal.SIGINT)
    out, rest = node.communicate(timeout=PATIENCE)
    assert (node.returncode, out) == (130, "")
    assert re.fullmatch(r"rdzv: \d\d:\d\d:\d\d left on SIGINT; the run goes on\n", rest)


def _words(user: User, line: str) -> list[str]:
    """What the tab key offers behind ``line``."""
    printed = user.type(
        "rdzv", _RDZV_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(line.count(" "))
    )
    return [entry.partition(",")[2] for entry in printed.split()]


MISTAKES = """
import pickle
from rendezvous_core import RendezvousParameters, get_rendezvous_handler

def params(backend="sqlite", endpoint="", **options):
    return RendezvousParameters(backend, endpoint, "mistakes", 1, 1, "127.0.0.1", **options)

def told(what, *arguments, **options):
    try:
        what(*arguments, **options)
    except Exception as error:
        print(f"{type(error).__name__}: {error}")

told(get_rendezvous_handler, params(join_timout=5))
told(get_rendezvous_handler, params(keep_alive_max_attempt="many"))
told(get_rendezvous_handler, params(endpoint="redis://host"))
told(get_rendezvous_handler, params("sqlit"))
told(get_rendezvous_handler, params("static", "localhost:1", rnak=0))
with get_rendezvous_handler(params(timeout=900)) as handler:  # which torchrun adds, and nobody minds
    info = handler.next_rendezvous()
    told(info.store.wait, "abc")
    told(info.store.wait, ["abc"], 0.01)
    for each in (handler, info, info.store):
        told(pickle.dumps, each)
"""


def test_mistakes_in_a_program(user: User) -> None:
    (user.home / "mistakes.py").write_text(MISTAKES)
    printed = user.type("python mistakes.py").splitlines()
    expected = [
        "ValueError: The backend 'sqlite' has no option 'join_timout'; did you mean 'join_timeout'?",
        "ValueError: The option 'keep_alive_max_attempt' ('many') must be an integer from 1 to 10000.",
        "ValueError: The endpoint of the sqlite backend is the path of a file, not 'redis://host': name the",
        "UnknownBackendError: The rendezvous backend 'sqlit' is not registered; did you mean 'sqlite'?",
        "ValueError: The backend 'static' has no option 'rnak'; did you mean 'rank'?",
        "TypeError: wait takes a list of keys: write ['abc'] where there is but one.",
        "RendezvousTimeoutError: Timed out after 0.01 s waiting for keys: 'abc'.",
        "TypeError: A DynamicRendezvousHandler cannot be pickled, since it is one node of its run",
        "TypeError: A RendezvousInfo cannot be pickled, since its store holds connections",
        "TypeError: A store cannot be pickled, since it holds connections",
    ]
    assert len(printed) == len(expected), printed
    for line, beginning in zip(printed, expected, strict=True):
        assert line.startswith(beginning)
