"""Throws endpoints and options that hold a secret at a backend, and looks for it in all that is said.

Endpoints and options are generated, well-formed and not: the secret stands wherever people put theirs.
"""

import logging
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st

from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.cli.entry import main

MARKER = "hunterMARK2"

_SCHEMES = (
    "",
    *(
        "redis://",
        "rediss://",
        "unix://",
        "sentinel://",
        "cluster://",
        "http://",
        "tcp://",
        "file://",
        "x://",
    ),
)
_HOSTS = (
    "127.0.0.1:1",
    "127.0.0.1:1,127.0.0.1:2",
    "127.0.0.1:x",
    "[::1]:1",
    "no host",
    "127.0.0.1:1/name",
    "",
)
_noise = st.text(st.sampled_from("aB1 :/?#@=&,;%'\"\\[]\t\n"), max_size=4)


@dataclass
class Holder:
    """An object whose ``repr`` tells all."""

    password: str


_users = st.builds(
    "{}{}:{}{}{}@{}".format,
    st.sampled_from(_SCHEMES),
    st.sampled_from(["", "u", "a user", "u%40v"]),
    _noise,
    st.just(MARKER),
    _noise,
    st.sampled_from(_HOSTS),
)
_queries = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(_SCHEMES),
    st.sampled_from(_HOSTS),
    st.sampled_from(["?auth=", "?", "?db=0&pw=", "#", " auth=", "/?password="]),
    _noise,
    st.just(MARKER),
)
endpoints = st.one_of(_users, _queries)
"""An endpoint with the secret where a password, a query or a fragment stands."""

_values = st.sampled_from(
    [
        MARKER,
        MARKER.encode(),
        [MARKER],
        {"auth": {"password": MARKER}},
        {MARKER: 1},
        Holder(MARKER),
        f"redis://u:{MARKER}@host:1",
        f"u:{MARKER}@host:1",
    ]
)
_names = st.sampled_from(
    ["pw", "bearer", "passwort", "x-api-key", "auth", "nested", "db_password", f"a b={MARKER}"]
)


def options(*secrets: str) -> st.SearchStrategy[dict[str, Any]]:
    """Options that hold the secret: those called secret, ones that nobody has, and mistakes in others."""
    wrong = st.sampled_from([{"auth": {"password": MARKER}}, [MARKER], Holder(MARKER), MARKER.encode()])
    choices = [
        st.dictionaries(_names, _values, min_size=1, max_size=2),
        st.dictionaries(
            st.sampled_from(["join_timeout", "timeout", "last_call", "metadata"]), wrong, min_size=1
        ),
    ]
    if secrets:
        choices.append(st.dictionaries(st.sampled_from(secrets), _values, min_size=1))
    return st.one_of(choices)


def told(backend: str, endpoint: str, given: Mapping[str, Any]) -> str:
    """All that is said where a handler is to be made: errors with causes, logs, and what things look like."""
    with listening() as said:
        try:
            params = RendezvousParameters(backend, endpoint, "run", 1, 1, **given)
            said.append(repr(params))
            for read in (params.get_as_int, params.get_as_float, params.get_as_bool):
                for name in given:
                    try:
                        read(name)
                    except ValueError as error:
                        said.extend(traceback.format_exception(error))
            try:
                handler = get_rendezvous_handler(params)
                said.append(repr(handler))
                handler.shutdown()
            finally:
                said.append(repr(params))
        except (RendezvousError, ValueError, TypeError) as error:
            said.extend(traceback.format_exception(error))
            said.append(repr(error))
    return "\n".join(said)


def typed(
    backend: str,
    endpoint: str,
    conf: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """All that ``rdzv`` prints for them, with tracebacks too."""
    monkeypatch.setenv("RDZV_DEBUG", "1")
    with listening() as said:
        for command in (["status", "--run-id=run"], ["doctor"], ["run", "--nodes=1", "--run-id=run"]):
            last = ["--", "true"] if command[0] == "run" else []
            where = [f"--endpoint={endpoint}", f"--conf={conf}"]
            where += [f"--backend={backend}"] if backend else []
            monkeypatch.setattr("sys.argv", ["rdzv", *command, *where, *last])
            with pytest.raises(SystemExit):
                main()
    shown = capsys.readouterr()
    return "\n".join([*said, shown.out, shown.err])


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what everybody logs, whatever its level."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))
            said.append(repr(vars(record)))

    root, ear = logging.getLogger(), Ear()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
