"""Every check of this repository: ``nox`` runs them all, ``nox -l`` lists them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
# One interpreter is enough: sessions for absent ones are skipped, on CI too.
nox.options.error_on_missing_interpreters = False

PROJECTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted(Path(__file__).parent.glob("rendezvous-*/pyproject.toml"))
}
TEST_TOOLS = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis"]


def pythons(name: str) -> list[str]:
    """The versions that a distribution says it runs on."""
    return re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECTS[name]["classifiers"]))


def from_folders(*names: str) -> list[str]:
    """What pip needs to install distributions and the siblings they ask for, with all extras."""
    needed = list(names)
    for name in needed:
        extras = PROJECTS[name].get("optional-dependencies", {})
        required = [*PROJECTS[name]["dependencies"], *(item for extra in extras.values() for item in extra)]
        siblings = {match[0] for item in required if (match := re.match(r"rendezvous-\w+", item))}
        needed += sorted(sibling for sibling in siblings & PROJECTS.keys() if sibling not in needed)
    return [
        argument
        for name in needed
        for argument in ("-e", f"./{name}[{','.join(PROJECTS[name].get('optional-dependencies', {}))}]")
    ]


def own_tests(name: str) -> list[str]:
    """Where a distribution's tests are; core also runs those that cross distributions."""
    if name != "rendezvous-core":
        return [f"tests/{name.removeprefix('rendezvous-')}"]
    others = [each.removeprefix("rendezvous-") for each in PROJECTS if each != name]
    return ["tests", *(f"--ignore=tests/{each}" for each in (*others, "wheels"))]


@nox.session
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of all sources, of the tests, and of this file."""
    session.install("mypy", "nox", *TEST_TOOLS, *from_folders(*PROJECTS))
    session.run("mypy", *(f"{name}/src" for name in PROJECTS), "tests", "noxfile.py")


@nox.session
@nox.parametrize(
    "python, name",
    [
        nox.param(python, name, id=f"{name.removeprefix('rendezvous-')}-{python}")
        for name in PROJECTS
        for python in pythons(name)
    ],
)
def tests(session: nox.Session, name: str) -> None:
    """The tests of one distribution, by one interpreter."""
    session.install(*TEST_TOOLS, *from_folders(name))
    session.run("pytest", "-n", "auto", *own_tests(name), *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Each distribution built, installed alone into a fresh environment, and used there."""
    session.install("build", "pytest", "pytest-timeout", "virtualenv")
    session.run("pytest", "tests/wheels", *session.posargs)
