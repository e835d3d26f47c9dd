"""The door through which a Redis server's bytes come in: whatever it replies to whatever is asked."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

from rendezvous_core import RendezvousError, RendezvousParameters
from rendezvous_redis import RedisOptions, RedisRendezvousBackend, RedisRun, RedisStore
from rendezvous_redis import _connections as connections
from rendezvous_redis.plugin import rendezvous_runs
from tests.fuzz.scripted import Scripted

_ADMITTED = b"*0\r\n*0\r\n"
_SOON = 0.001

Call = Callable[[RedisStore, RedisRendezvousBackend], Any]
CALLS: dict[str, tuple[type | tuple[type, ...], Call]] = {
    "get": (bytes, lambda store, _: store.get("a")),
    "multi_get": (list, lambda store, _: store.multi_get(["a", "b"])),
    "add": (int, lambda store, _: store.add("a", 1)),
    "append": (type(None), lambda store, _: store.append("a", b"1")),
    "compare_set": (bytes, lambda store, _: store.compare_set("a", b"1", b"2")),
    "check": (bool, lambda store, _: store.check(["a", "b"])),
    "wait": (type(None), lambda store, _: store.wait(["a"])),
    "delete_key": (bool, lambda store, _: store.delete_key("a")),
    "num_keys": (int, lambda store, _: store.num_keys()),
    "list_keys": (list, lambda store, _: store.list_keys()),
    "queue_pop": (bytes, lambda store, _: store.queue_pop("a", timeout=_SOON)),
    "queue_len": (int, lambda store, _: store.queue_len("a")),
    "get_state": ((tuple, type(None)), lambda _, backend: backend.get_state()),
    "set_state": ((tuple, type(None)), lambda _, backend: backend.set_state(b"1", None)),
    "put_member": (type(None), lambda _, backend: backend.put_member("a", b"1", announce=True)),
    "remove_member": (type(None), lambda _, backend: backend.remove_member("a")),
    "members": (tuple, lambda _, backend: backend.members()),
    "wait_for_change": ((bool, tuple), lambda _, backend: backend.wait_for_change(None, 0.0)),
    "server_facts": (tuple, lambda _, backend: backend.server_facts()),
}
"""What each returns, if it returns."""
PLACES = ("redis://host", "sentinel://host/name", "cluster://host")


def replies(data: bytes) -> None:
    """One call, or the way to the server."""
    names = (*CALLS, *PLACES, "runs")
    name = names[data[0] % len(names)] if data else names[0]
    answered(name, data[1:])


def answered(name: str, said: bytes) -> None:
    """Make the call of that name, to which the server says that; raises what it must not raise."""
    opened: list[Scripted] = []

    def connect(_: object) -> Scripted:
        # On each connection anew, but for the first one of a call.
        opened.append(Scripted(_ADMITTED + said if name in CALLS and not opened else said))
        return opened[-1]

    with (
        mock.patch.object(connections._PlainConnection, "_connect", connect),
        mock.patch.object(connections, "_speaks_tls", return_value=False),
        suppress(RendezvousError),
    ):
        if name in CALLS:
            _call(name)
        elif name in PLACES:
            RedisRun(name, "run", RedisOptions(connect_timeout=_SOON, read_timeout=_SOON)).close()
        else:
            given: dict[str, Any] = {"connect_timeout": _SOON, "read_timeout": _SOON}
            params = RendezvousParameters("redis", "host", "run", 1, 1, **given)
            runs = rendezvous_runs(params)
            try:
                runs.read()
            finally:
                runs.close()


def _call(name: str) -> None:
    run = RedisRun("host", "run", RedisOptions(connect_timeout=_SOON, read_timeout=_SOON))
    kind, call = CALLS[name]
    try:
        result = call(RedisStore(run, _SOON), RedisRendezvousBackend(run))
    except ValueError as error:
        if "holds no integer" not in str(error):
            raise
    else:
        assert isinstance(result, kind), f"{name} returns {result!a:.80}"
    finally:
        run.close()
