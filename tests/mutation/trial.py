"""A plugin of pytest: tries mutants, each in a process of its own, by the tests that reach what it changes.

mutmut keeps all variants of a function beside it, and has each call choose one by the environment. Here
none is chosen: the function has its own code, but for the one that a process gives the code of its mutant.
"""

import _thread
import gc
import importlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

MEMORY = 4 * 2**30

PATIENCE = 20
"""A test may take so many times the processor time that it takes without a change, and a second. Who is
suspended meanwhile is not taken for hanging."""

SLOWER = 5
"""All tests of a mutant together may take so many times the time that they take without it, and five minutes:
threads may wait for what never comes."""

LONG = 20.0
"""A mutant that a test noticed after so many seconds, on which threads may have waited for a busy machine, is
tried once more."""

Variants = Mapping[str, FunctionType]

FOUND: list[tuple[FunctionType, Variants]] = []
"""Each function of which there are mutants, and what it may be instead."""


class Measured(NamedTuple):
    """A test, what it takes, and what it reaches."""

    seconds: float
    """Of processors."""
    took: float
    """By the clock on the wall."""
    reached: set[CodeType]
    item: pytest.Item


def _keep(variants: Variants, **_: bool) -> Callable[[FunctionType], FunctionType]:
    """Stand in for mutmut's decorator."""

    def keep(function: FunctionType) -> FunctionType:
        FOUND.append((function, variants))
        return function

    return keep


TRAMPOLINE: Any = importlib.import_module("mutmut.mutation.trampoline")
TRAMPOLINE.wrap_in_trampoline = _keep

_reached: set[CodeType] = set()
_start_new_thread: Any = _thread.start_new_thread


def _note(frame: FrameType, event: str, _: object) -> None:
    if event == "call":
        _reached.add(frame.f_code)


def _start(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
    """Start a bare thread, profiled as those of `threading` are."""
    profile = threading.getprofile()

    def run() -> None:
        sys.setprofile(profile)
        function(*arguments)

    return int(_start_new_thread(run, ()))


_thread.start_new_thread = _start  # type: ignore[assignment]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--mutants", type=Path, help="a file with the names of those to try")
    parser.addoption("--ended", type=Path, help="the file to which it is written how each of them ended")
    parser.addoption("--jobs", type=int, default=1, help="how many to try at a time")


def pytest_configure() -> None:
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        max_examples=20,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutation")


def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try all mutants; write of each its name, how its process ended, and the test that noticed it.

    Its process ends with 0 if no test fails, 1 if one does, 2 if that took long, 33 if none reaches it, or by
    a signal.
    """
    options = session.config.option
    tests = sorted(map(_measured, session.items), key=lambda test: test.seconds)
    mutants = {
        f"{function.__module__}.{name}": (function, variant)
        for function, variants in FOUND
        for name, variant in variants.items()
    }
    gc.freeze()
    running: dict[int, str] = {}
    names, again = json.loads(options.mutants.read_text()), set()
    with options.ended.open("a", buffering=1) as ended:

        def end_one() -> None:
            pid, status = os.wait()
            name, code = running.pop(pid), os.waitstatus_to_exitcode(status)
            if code in (2, -signal.SIGALRM) and name not in again:
                again.add(name)
                names.append(name)
                ended.write(json.dumps([name, None, ""]) + "\n")
            elif code < 0:
                ended.write(json.dumps([name, code, ""]) + "\n")

        while names or running:
            if not names or len(running) == options.jobs:
                end_one()
                continue
            name = names.pop(0)
            function, variant = mutants[name]
            if pid := os.fork():
                running[pid] = name
                continue
            code, by = _try(function, variant, tests)
            ended.write(json.dumps([name, code, by]) + "\n")
            os._exit(code)
    return True


def _measured(item: pytest.Item) -> Measured:
    _reached.clear()
    began, used = time.monotonic(), time.process_time()
    threading.setprofile(_note)
    sys.setprofile(_note)
    try:
        passes = _passes(item)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    if not passes and not _passes(item):  # a busy machine may have kept it from passing
        pytest.exit(f"{item.nodeid} fails where nothing is changed", 1)
    took = time.monotonic() - began
    return Measured(time.process_time() - used, took, _reached.copy(), item)


def _passes(item: pytest.Item) -> bool:
    # Imported after the decorator is another one.
    from rendezvous_core.records.codec import decode_state

    decode_state.cache_clear()
    return not any(report.failed for report in runtestprotocol(item, log=False))


def _try(function: FunctionType, variant: FunctionType, tests: Iterable[Measured]) -> tuple[int, str]:
    """Run the tests on the variant, the quickest first; say how that ended, and by which test."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    reaching = [test for test in tests if function.__code__ in test.reached]
    function.__code__ = variant.__code__
    function.__defaults__, function.__kwdefaults__ = variant.__defaults__, variant.__kwdefaults__
    # By their default actions, these end the process.
    signal.setitimer(signal.ITIMER_REAL, 300 + SLOWER * sum(test.took for test in reaching))
    for test in reaching:
        began = time.monotonic()
        signal.setitimer(signal.ITIMER_PROF, 1 + PATIENCE * test.seconds)
        try:
            noticed = not _passes(test.item)
        except BaseException:
            noticed = True
        if noticed:
            return 2 if time.monotonic() - began > LONG else 1, test.item.nodeid
    return (0, "") if reaching else (33, "")
