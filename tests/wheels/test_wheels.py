"""Each distribution as users get it: built, installed alone into a fresh environment, and used there."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.wheels.installing import ROOT, Build, Built, install, run

HERE = Path(__file__).parent


@pytest.fixture(params=sorted(path.parent.name for path in ROOT.glob("rendezvous-*/pyproject.toml")))
def built(request: pytest.FixtureRequest, build: Build) -> Built:
    return build(request.param)


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
    assert not any(name.startswith("tests/") or "__pycache__" in name for name in names)


def test_the_changelog_knows_the_version(built: Built) -> None:
    changelog = (built.folder / "CHANGELOG.md").read_text()
    assert f"\n## {built.project['version']}" in changelog


@pytest.mark.timeout(1200)
def test_it_installs_alone_and_works(built: Built, build: Build, tmp_path: Path) -> None:
    """Runs the script of this folder that is named as the distribution; each needs one."""
    script = HERE / f"{built.folder.name.removeprefix('rendezvous-')}.py"
    assert script.exists(), f"{script} must use the installed distribution"
    binaries = install(tmp_path, build("rendezvous-core").wheel, built.wheel, *built.pins())
    run(binaries / "python", "-m", "pip", "check", cwd=tmp_path)
    # Without -P, redis.py would be found where it imports redis.
    run(binaries / "python", "-P", script, cwd=tmp_path)
