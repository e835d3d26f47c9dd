"""The distributions, each built once."""

import sys
import tomllib
from functools import cache

import pytest

from tests.wheels.installing import ROOT, Build, Built, run


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a distribution, once."""

    @cache
    def build(name: str) -> Built:
        folder, target = ROOT / name, tmp_path_factory.mktemp(name)
        run(sys.executable, "-m", "build", "--outdir", target, folder, cwd=target)
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
        return Built(folder, project, wheel, sdist)

    return build
