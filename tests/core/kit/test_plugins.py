"""The kit catches distributions that fail their users, by the very tests that are meant to."""

import os
import re
from pathlib import Path

import pytest

from tests.core.registry.conftest import Environment

pytest_plugins = ["pytester"]

SOUND = """
from rendezvous_core import Option, RendezvousConnectionError, hookimpl
from rendezvous_core.sqlite import SqliteBackend, SqliteRuns, SqliteStore

OPTIONS = [Option("patience", "seconds", ""), Option("password", "text", "", secret=True)]

class Backend(SqliteBackend):
    name = "NAME"

@hookimpl
def rendezvous_options():
    return OPTIONS

@hookimpl
def rendezvous_backend(params):
    if ":" in params.endpoint:
        raise ValueError(f"The endpoint {params.endpoint!r} is no path.")
    try:
        return Backend(params.endpoint, params.run_id)
    except RendezvousConnectionError as error:
        raise RendezvousConnectionError(f"Cannot open {params.endpoint}.") from error

@hookimpl
def rendezvous_store(params, backend):
    return SqliteStore(backend.path, params.run_id)

class Runs(SqliteRuns):
    def delete(self, run_id):
        super().delete(run_id)

@hookimpl
def rendezvous_runs(params):
    return Runs(params.endpoint)
"""

# Name, what of it is replaced by what, and the test that must catch it.
BROKEN = [
    ("heavy", "class Backend", "import click\nclass Backend", "test_import_is_light"),
    (
        "greedy",
        "class",
        "import rendezvous_core.sqlite.plugin\nclass",
        "test_choosing_it_loads_no_other_backend",
    ),
    ("claimed", "NAME", "NAME", "test_entry_point"),
    ("misspelt", "def rendezvous_backend(", "def rendezvous_backends(", "test_end_to_end"),
    ("misnamed", '"NAME"', '"another-name"', "test_end_to_end"),
    ("lonely", "params.run_id)\n", "str(id(backend)))\n", "test_end_to_end"),
    ("careless", "return OPTIONS", "return None", "test_bad_options"),
    ("undeclared", "return OPTIONS", "return None", "test_unknown_options"),
    (
        "vague-option",
        "return OPTIONS\n\n@hookimpl\ndef rendezvous_backend(params):\n",
        "return None\n\n@hookimpl\ndef rendezvous_backend(params):\n    float(params.get('patience', 1))\n",
        "test_bad_options",
    ),
    ("lenient", '":" in params.endpoint', "False", "test_bad_endpoints"),
    ("vague-endpoint", "{params.endpoint!r} ", "", "test_bad_endpoints"),
    ("raw", "raise RendezvousConnectionError(", "raise ConnectionError(", "test_unreachable"),
    ("vague", "open {params.endpoint}.", "connect.", "test_unreachable"),
    ("leaky", "{params.endpoint}.", "{params.endpoint} {params.config}", "test_secrets_stay_secret"),
    (
        "talkative",
        "    try:",
        "    __import__('logging').warning(params.config)\n    try:",
        "test_secrets_stay_secret",
    ),
    ("clinging", "super().delete(run_id)", "pass", "test_a_run_is_removed"),
    (
        "blind",
        "    def delete",
        "    def read(self):\n        return {}\n\n    def delete",
        "test_a_run_is_listed",
    ),
    (
        "sweeping",
        "super().delete(run_id)",
        "[super(Runs, self).delete(each) for each in self.read()]",
        "test_other_runs_stay",
    ),
]

SUITES = """
from typing import ClassVar

import pytest

from rendezvous_core import RendezvousParameters
from rendezvous_core.testing import PluginSuite

NOWHERE = "/proc/no/such/file"

class Base(PluginSuite):
    bad_options: ClassVar = {**PluginSuite.bad_options, "patience": "endless"}
    bad_endpoints = ("localhost:29400",)

    @pytest.fixture
    def endpoint(self, tmp_path):
        return str(tmp_path / "run.db")

    @pytest.fixture
    def unreachable_endpoint(self):
        return NOWHERE

    @pytest.fixture
    def secret_parameters(self, run_id):
        return lambda secret: RendezvousParameters(self.backend, NOWHERE, run_id, 1, 1, password=secret)
"""


def test_what_is_broken_is_caught(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(tmp_path)
    suites = SUITES
    for name, old, new, _ in (("sound", "", "", ""), *BROKEN):
        assert old in SOUND
        environment.install(f"kit-{name}", SOUND.replace(old, new).replace("NAME", name), backends={name: ""})
        suites += f"\nclass Test_{name.replace('-', '_')}(Base):\n"
        suites += f"    backend, distribution = {name!r}, 'kit-{name}'\n"
    environment.install("kit-twin", backends={"claimed": ""})
    file = pytester.makepyfile(test_suites=suites)
    meant = {f"Test_{name.replace('-', '_')}::{test}" for name, _, _, test in BROKEN}
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    tests = [f"{file}::{test}" for test in ("Test_sound", *meant)]
    result = pytester.runpytest_subprocess(*tests, "-rA", "-p", "no:cacheprovider", "--tb=short")
    failed = {match[1] for line in result.outlines if (match := re.match(r"FAILED \S+\.py::(\S+)", line))}
    assert failed == meant
    result.stdout.fnmatch_lines(
        ["*loads click. If it is your driver that does*: clients = ('click',); else*"]
    )
    assert "errors" not in result.parseoutcomes()
