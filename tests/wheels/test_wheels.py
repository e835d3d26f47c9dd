"""Each distribution as users get it: built, installed alone into a fresh environment, and used there."""

import email.message
import email.parser
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.parents[1].glob("rendezvous-*/pyproject.toml"))


class Built(NamedTuple):
    folder: Path
    project: dict[str, Any]
    wheel: Path
    sdist: Path

    @property
    def package(self) -> str:
        return self.folder.name.replace("-", "_")

    def metadata(self) -> email.message.Message:
        return email.parser.Parser().parsestr(self.read("METADATA"))

    def read(self, name: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            info = f"{self.package}-{self.project['version']}.dist-info"
            return archive.read(f"{info}/{name}").decode()


def run(*command: str | Path, cwd: Path) -> None:
    """Run ``command`` away from the checkout, and show what it printed where it fails."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    built = {}
    for folder in FOLDERS:
        target = tmp_path_factory.mktemp(folder.name)
        run(sys.executable, "-m", "build", "--outdir", target, folder, cwd=target)
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
        built[folder.name] = Built(folder, project, wheel, sdist)
    return built


@pytest.fixture(params=[folder.name for folder in FOLDERS])
def built(request: pytest.FixtureRequest, wheels: dict[str, Built]) -> Built:
    return wheels[request.param]


def test_the_metadata_is_that_of_the_project(built: Built) -> None:
    metadata = built.metadata()
    assert metadata["Name"] == built.project["name"] == built.folder.name
    assert metadata["Version"] == built.project["version"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert metadata.get_payload() == (built.folder / "README.md").read_text()
    assert set(built.project.get("optional-dependencies", {})) == set(metadata.get_all("Provides-Extra", []))
    for group, entries in built.project.get("entry-points", {}).items():
        for name, value in entries.items():
            assert f"{name} = {value}" in built.read("entry_points.txt").partition(f"[{group}]")[2]


def test_only_its_own_package_is_in_the_wheel(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
    sources = {
        str(path.relative_to(built.folder / "src"))
        for path in (built.folder / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = f"{built.package}-{built.project['version']}.dist-info/"
    assert {name for name in names if not name.startswith(info)} == sources
    assert f"{built.package}/py.typed" in sources
    assert f"{info}licenses/LICENSE" in names


def test_the_source_distribution_is_complete(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} <= names
    assert any(name.startswith(f"src/{built.package}/") for name in names)
    assert not any("tests" in Path(name).parts or "__pycache__" in name for name in names)


def test_the_changelog_knows_the_version(built: Built) -> None:
    changelog = (built.folder / "CHANGELOG.md").read_text()
    assert f"\n## {built.project['version']}" in changelog


def test_it_installs_alone_and_works(built: Built, wheels: dict[str, Built], tmp_path: Path) -> None:
    """Runs the script of this folder that is named as the distribution; each needs one."""
    script = HERE / f"{built.folder.name.removeprefix('rendezvous-')}.py"
    assert script.exists(), f"{script} must use the installed distribution"
    run(sys.executable, "-m", "virtualenv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheels["rendezvous-core"].wheel, built.wheel, cwd=tmp_path)
    run(python, "-m", "pip", "check", cwd=tmp_path)
    run(python, script, cwd=tmp_path)
