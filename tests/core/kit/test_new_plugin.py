"""``rdzv new-plugin``: what it writes works as it is, but for what its author has to fill in."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

FILES = {
    "README.md",
    "pyproject.toml",
    "src/rendezvous_my_store/__init__.py",
    "src/rendezvous_my_store/backend.py",
    "src/rendezvous_my_store/plugin.py",
    "src/rendezvous_my_store/py.typed",
    "tests/test_contract.py",
}


def new_plugin(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rendezvous_core.cli", "new-plugin", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    ran = new_plugin("my-store", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    return tmp_path / "rendezvous-my-store"


def install(plugin: Path) -> None:
    """Put into ``src`` what an installer would write about the distribution."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    metadata = plugin / "src" / f"rendezvous_my_store-{project['version']}.dist-info"
    metadata.mkdir()
    lines = [f"Name: {project['name']}", f"Version: {project['version']}"]
    (metadata / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    entries = project["entry-points"]["rendezvous.backends"].items()
    lines = ["[rendezvous.backends]", *(f"{name} = {value}" for name, value in entries), ""]
    (metadata / "entry_points.txt").write_text("\n".join(lines))


def test_it_writes_a_distribution(plugin: Path) -> None:
    written = {str(path.relative_to(plugin)) for path in plugin.rglob("*") if path.is_file()}
    assert written == FILES
    assert not [path for path in plugin.rglob("*.*") if "$" in path.read_text().replace("\n$ ", "")]


def test_its_tests_fail_only_where_something_is_to_be_filled_in(plugin: Path) -> None:
    install(plugin)
    path = os.pathsep.join([str(plugin / "src"), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--tb=no", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "500"},
        cwd=plugin,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    lines = ran.stdout.partition("short test summary info")[2].splitlines()[1:-1]
    passed = {line.rpartition("::")[2] for line in lines if line.startswith("PASSED")}
    assert passed == {
        "test_entry_point",
        "test_import_is_light",
        "test_choosing_it_loads_no_other_backend",
        "test_others_do_not_load_it",
    }
    others = [line for line in lines if not line.startswith("PASSED")]
    assert len(others) > 50
    assert not [line for line in others if not re.search("NotImplementedError: (Fill in|Supply)", line)]


def test_it_tells_programs_what_it_wrote(tmp_path: Path) -> None:
    ran = new_plugin("other", "--json", cwd=tmp_path)
    created = json.loads(ran.stdout)["created"]
    assert created
    assert all((tmp_path / path).is_file() for path in created)


@pytest.mark.parametrize("name", ["", "My-Store", "my store", "../up", "-x", "x--y", "1st"])
def test_a_name_that_makes_no_package_is_refused(tmp_path: Path, name: str) -> None:
    ran = new_plugin("--", name, cwd=tmp_path)
    assert ran.returncode == 2
    assert "lowercase letters" in ran.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "owner"), [("sqlite", "rendezvous-core"), ("redis", "rendezvous-redis")])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str, owner: str) -> None:
    ran = new_plugin(name, cwd=tmp_path)
    assert ran.returncode == 2
    assert f"provided by {owner} already" in " ".join(ran.stderr.split())


def test_nothing_is_overwritten(plugin: Path) -> None:
    (plugin / "README.md").write_text("mine")
    ran = new_plugin("my-store", cwd=plugin.parent)
    assert ran.returncode == 2
    assert "rendezvous-my-store" in ran.stderr
    assert (plugin / "README.md").read_text() == "mine"
