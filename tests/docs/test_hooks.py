"""The page on hooks shows every hook as it is, and its examples work together."""

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent
from types import FunctionType

import pytest

from rendezvous_core.plugins import hookspecs as _hookspecs
from rendezvous_core.plugins.hookspecs import PROJECT
from tests.docs.steps import DOCS, read_blocks

PAGE = "hooks.md"
TEXT = (DOCS / PAGE).read_text()
HOOKS = {
    name: hook
    for name, hook in vars(_hookspecs).items()
    if isinstance(hook, FunctionType) and hasattr(hook, f"{PROJECT}_spec")
}


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder to import from, with all the plugins of the page in it, installed as the page says."""
    blocks = read_blocks(PAGE)
    for block in blocks:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    (toml,) = (block.text for block in blocks if block.language == "toml")
    groups = tomllib.loads(toml)["project"]["entry-points"]
    groups["rendezvous.backends"]["whole"] = "my_handler"
    groups["rendezvous.plugins"]["metrics"] = "my_metrics"
    metadata = tmp_path / "page-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: page\nVersion: 1.0\n")
    lines = [f"[{group}]\n{name} = {value}\n" for group in groups for name, value in groups[group].items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    return tmp_path


def run(folder: Path, script: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.stdout


def test_every_hook_has_a_section() -> None:
    assert set(re.findall(r"^## (.*)$", TEXT, re.MULTILINE)) == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_its_signature_is_the_real_one(name: str) -> None:
    section = TEXT.partition(f"\n## {name}\n")[2].lstrip()
    shown = section.partition("```python\n")[2].partition("\n```")[0]
    real = re.sub(r"[a-z_]+(?:\.[a-z_]+)*\.(?=[A-Z])", "", str(inspect.signature(HOOKS[name])))
    assert shown == f"{name}{real}"


def test_every_kind_of_event_is_listed() -> None:
    source = Path(inspect.getfile(_hookspecs)).parents[1] / "dynamic" / "reporting.py"
    emitted = set(re.findall(r'_emit\(\s*node,\s*"(\w+)"', source.read_text()))
    listed = re.findall(
        r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", (DOCS / PAGE).read_text(), re.MULTILINE))
    )
    assert emitted
    assert emitted <= set(listed)


MEET = """
import sys
from concurrent.futures import ThreadPoolExecutor
from rendezvous_core import RendezvousParameters, get_rendezvous_handler

def meet(*racks):
    handlers = [
        get_rendezvous_handler(
            RendezvousParameters("threads", "", "run", len(racks), len(racks), metadata={"rack": rack})
        )
        for rack in racks
    ]
    with ThreadPoolExecutor(len(racks)) as pool:
        infos = list(pool.map(lambda handler: handler.next_rendezvous(), handlers))
    ranks = {info.rank: rack for info, rack in zip(infos, racks, strict=True)}
    infos[0].store.set("key", "value")
    assert infos[1].store.get("key") == b"value"
    for handler in handlers:
        handler.leave(done=True)
    return [ranks[rank] for rank in range(len(racks))]
"""


def test_declared_options_are_known_and_others_refused(installed: Path) -> None:
    script = """
        from rendezvous_core import RendezvousParameters, get_rendezvous_handler

        get_rendezvous_handler(RendezvousParameters("threads", "", "run", 1, 1, space="outer"))
        try:
            get_rendezvous_handler(RendezvousParameters("threads", "", "run", 1, 1, spice="outer"))
        except ValueError as error:
            print(error)
    """
    assert run(installed, script) == "The backend 'threads' has no option 'spice'; did you mean 'space'?\n"


def test_ranks_follow_racks(installed: Path) -> None:
    printed = run(installed, f"{MEET}\nprint(*meet('b', 'a', 'b', 'a', 'c'))")
    assert printed.split() == ["a", "a", "b", "b", "c"]


def test_events_become_metrics(installed: Path) -> None:
    export = "from prometheus_client import generate_latest; print(generate_latest().decode())"
    printed = run(installed, f"{MEET}\nmeet('a', 'b')\n{export}")
    assert 'rendezvous_events_total{kind="joined",run_id="run"} 2.0' in printed
    assert 'rendezvous_events_total{kind="coordinates",run_id="run"}' in printed
    assert 'rendezvous_world_size{run_id="run"} 2.0' in printed


def test_each_command_gets_what_a_plugin_adds(installed: Path) -> None:
    command = "from rendezvous_core.cli.entry import main; main()"
    options = "run", "--spawn=2", "--export=horovod", "--", "sh", "-c", "echo $HOROVOD_HOSTS"
    script = f"import sys; sys.argv[1:] = {options!r}; {command}"
    printed = run(installed, script, RDZV_SQLITE_PATH=str(installed / "runs.db"))
    assert sorted(printed.split()) == ["127.0.0.1:1,127.0.0.1:1"] * 2 + ["[0]", "[1]"]


def test_a_plugin_may_build_the_whole_handler(installed: Path) -> None:
    script = """
        import time

        from rendezvous_core import RendezvousParameters, get_rendezvous_handler

        handler = get_rendezvous_handler(RendezvousParameters("whole", "", "run", 1, 1))
        info = handler.next_rendezvous()
        info.store.set("key", "value")
        print(handler.get_backend(), info.world_size, handler.settings.keep_alive_interval.total_seconds())
        (member,) = handler._driver.members(time.monotonic() + 10).values()
        print(member.metadata["rack"])
        handler.shutdown()
    """
    assert run(installed, script, RACK="r7").split() == ["whole", "1", "1.0", "r7"]


def test_a_store_of_another_package_is_taken(installed: Path) -> None:
    script = """
        import sys
        from rendezvous_core import PrefixStore
        from my_cache import Cache

        cache = Cache()
        assert "my_cache_stores" not in sys.modules
        PrefixStore("ours", cache).set("key", "value")
        print(PrefixStore("ours", cache).get("key").decode())
    """
    assert run(installed, script).split() == ["value"]
