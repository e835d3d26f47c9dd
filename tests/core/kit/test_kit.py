"""The kit catches what is broken, by the very tests that are meant to."""

import re
from types import ModuleType

import pytest

from tests.core.kit import broken_backends, broken_handlers, broken_stores

pytest_plugins = ["pytester"]

MODULES = [broken_backends, broken_stores, broken_handlers]


@pytest.fixture(autouse=True)
def wide_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")


def run(pytester: pytest.Pytester, *tests: str) -> list[str]:
    """Run tests in a process of their own, and return the lines of the summary, one for each test."""
    result = pytester.runpytest_subprocess(*tests, "-rA", "-p", "no:cacheprovider", "--tb=line")
    lines = "\n".join(result.outlines).partition("short test summary info")[2].splitlines()[1:-1]
    # Where pytest sees that it runs in CI, it gives messages whole: further lines follow the first.
    firsts = [line for line in lines if re.match("PASSED|FAILED|ERROR|SKIPPED", line)]
    return [re.sub(r"^(\w+) \S+\.py::", r"\1 ", line) for line in firsts]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_what_is_broken_is_caught(pytester: pytest.Pytester, module: ModuleType) -> None:
    missed = {f"{name}::{test}" for name, tests in module.BROKEN.catchers.items() for test in tests}
    # What happens too early is seen within a moment only if the machine is not too busy for it to happen.
    for _ in range(5):
        summary = run(pytester, *(f"{module.__file__}::{test}" for test in sorted(missed)))
        missed -= {line.split()[1] for line in summary if line.startswith("FAILED")}
        if not missed:
            break
    assert not missed


SUITES = """
from typing import ClassVar

import pytest

from rendezvous_core.testing import *

class TestNothing(MembershipSuite):
    pass

class TestWithoutServer(MembershipSuite):
    lacks: ClassVar = {"link": "it has no wire"}

    @pytest.fixture
    def backend_factory(self):
        server = MemoryServer()
        return lambda run_id: MemoryBackend(server, run_id)

class TestUnknown(BackendSuite):
    lacks: ClassVar = {"servers": "misspelt"}

class TestNoStores(StoreSuite):
    pass

class TestNoHandlers(HandlerSuite):
    pass

class TestNoName(PluginSuite):
    @pytest.fixture
    def endpoint(self):
        return ""
"""


def test_what_is_not_supplied_is_an_error_unless_it_is_declared(pytester: pytest.Pytester) -> None:
    file = pytester.makepyfile(test_suites=SUITES)
    expected = {
        "TestNothing::test_name": "ERROR .*Supply the fixture 'backend_factory': a function from a run id",
        "TestWithoutServer::test_name": "PASSED ",
        "TestWithoutServer::test_reconnect": "ERROR .*Supply the fixture 'server': .*lacks = {\"server\": ",
        "TestWithoutServer::test_corruption": "ERROR .*Supply the fixture 'corrupt': ",
        "TestWithoutServer::test_lost_reply": "SKIPPED .*: lacks link: it has no wire",
        "TestUnknown::test_name": "ERROR .*'servers'.* in lacks is none of .*'durability'",
        "TestNoStores::test_add": "ERROR .*Supply the fixture 'store_factory': ",
        "TestNoHandlers::test_names": "ERROR .*Supply the fixture 'handler_factory': ",
        "TestNoName::test_end_to_end": "ERROR .*set the attribute 'backend'",
    }
    summary = run(pytester, *(f"{file}::{test}" for test in expected))
    for test, line in expected.items():
        name = "" if line.startswith("SKIPPED") else test
        kind, _, message = line.partition(" ")
        assert any(re.match(f"{kind} .*{re.escape(name)}{message}", each) for each in summary), summary
    assert len(summary) == len(expected)


def test_assertions_of_the_kit_say_what_they_saw(pytester: pytest.Pytester) -> None:
    (failure,) = run(pytester, f"{broken_backends.__file__}::TestLostUpdate::test_no_update_is_lost")
    assert re.search(r"assert b'\d+' == b'80'", failure)
