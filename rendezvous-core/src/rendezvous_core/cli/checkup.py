"""What ``rdzv doctor`` checks: each check provokes what a group relies on, and times it."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from msgspec.structs import replace

from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.dynamic.history import history_key
from rendezvous_core.dynamic.round_store import rounds_key
from rendezvous_core.ports.backend import MembershipBackend, Token
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.handler import BOOTSTRAP_KEYS, LOOPBACK_KEY, RendezvousInfo
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.store import Store
from rendezvous_core.records.codec import encode_state
from rendezvous_core.records.state import Settings, State
from rendezvous_core.registry import create_backend, create_store, get_rendezvous_handler

_TIMES = 20
_PATIENCE = 5.0
_KEY, _COUNT = "doctor/key", "doctor/count"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    ok: bool
    took: Mapping[str, float] | None = None
    """How long each operation takes, in seconds: the median of several times."""
    text: str | None = None
    """What was found out, or went wrong."""
    remedy: str | None = None
    """What to do, where ``text`` does not say it itself."""
    offset: float | None = None
    """By how many seconds this node's clock is ahead."""


class Broken(RendezvousError):
    """The backend answered, but not as its contract says."""


class Patient:
    """A scratch run on a backend, reached through two handles as by two nodes.

    Raises as `create_backend` and `create_store` do.
    """

    def __init__(self, params: RendezvousParameters) -> None:
        self._params = params
        self._backends = [create_backend(params)]
        try:
            self._backends.append(create_backend(params))
            self._stores = [create_store(params, backend) for backend in self._backends]
        except BaseException:
            self.close()
            raise
        self._serial = 0

    @property
    def backends(self) -> tuple[MembershipBackend, MembershipBackend]:
        """Two handles of the backend."""
        return self._backends[0], self._backends[1]

    @property
    def stores(self) -> tuple[Store, Store]:
        """Two handles of the store."""
        return self._stores[0], self._stores[1]

    def new_state(self) -> bytes:
        """Return a state unlike those before; closed, so that nobody takes the run for a living one."""
        self._serial += 1
        state = State(run=self._params.run_id, settings=Settings(1, 1), phase="closed")
        return encode_state(replace(state, serial=self._serial))

    def clean_up(self) -> None:
        """Remove what the checks left, but for the closed state, which expires where things expire."""
        for node in self._backends[0].members().records:
            self._backends[0].remove_member(node)
        for key in (_KEY, _COUNT):
            self._stores[0].delete_key(key)

    def close(self) -> None:
        """Release all handles."""
        for backend in self._backends:
            backend.close()


Times = Mapping[str, float]


_PRIMARY = "Name the primary server: a replica, a cache or a backend that does this makes nodes disagree."


def check_reading(patient: Patient) -> Times:
    """Read the state."""
    return {"read": _median(patient.backends[0].get_state)}


def check_fencing(patient: Patient) -> Times:
    """Write by compare-and-set, and see that every outdated token is refused."""
    one, other = patient.backends
    first = patient.new_state()
    token = _written(one, first, None)
    _refused(other, patient.new_state(), None, "a write that expected no state")
    token, outdated = _written(other, first, token), token
    _refused(one, patient.new_state(), outdated, "a write with the token of former, equal bytes")

    def write() -> None:
        nonlocal token
        token = _written(one, patient.new_state(), token)

    took = _median(write)
    found = other.get_state()
    if found is None or found[1] != token:
        raise Broken("another handle does not see the last write")
    return {"write": took}


def check_notification(patient: Patient) -> Times:
    """Have two handles wait for each other's writes in turn."""
    found = patient.backends[0].get_state()
    assert found is not None, "the checks before wrote a state"
    failures: list[Exception] = []

    def play(backend: MembershipBackend, token: Token, *, begins: bool) -> None:
        try:
            if begins:
                token = _written(backend, patient.new_state(), token)
            for _ in range(_TIMES):
                token = _written(backend, patient.new_state(), _news(backend, token))
        except Exception as error:
            failures.append(error)

    answerer = threading.Thread(target=play, args=(patient.backends[1], found[1]), kwargs={"begins": False})
    began = time.monotonic()
    answerer.start()
    play(patient.backends[0], found[1], begins=True)
    answerer.join()
    took = time.monotonic() - began
    if failures:
        raise failures[0]
    return {"news": took / (2 * _TIMES)}


def check_members(patient: Patient) -> Times:
    """Write records of members, list them, and see that a waiter learns of a new one."""
    one, other = patient.backends
    token = other.members().token
    put = _median(lambda: one.put_member("doctor", b"record", announce=True))
    found = one.get_state()
    if not other.wait_for_change(found[1] if found else None, _PATIENCE, token):
        raise Broken(f"a new member was not announced within {_PATIENCE:g} s")
    if other.members().records.get("doctor") != b"record":
        raise Broken("another handle does not see a new member")
    listing = _median(other.members)
    other.remove_member("doctor")
    if "doctor" in one.members().records:
        raise Broken("a removed member is still there")
    return {"put": put, "list": listing}


def check_store(patient: Patient) -> Times:
    """Write, read, count and wait in the shared store."""
    one, other = patient.stores
    took = {
        "set": _median(lambda: one.set(_KEY, b"value")),
        "get": _median(lambda: other.get(_KEY)),
        "wait": _median(lambda: other.wait([_KEY], _PATIENCE)),
        "add": _median(lambda: one.add(_COUNT, 1)),
    }
    if other.get(_KEY) != b"value":
        raise Broken("another handle reads something else than was written")
    if (one.add(_COUNT, 2), other.add(_COUNT, 3)) != (_TIMES + 2, _TIMES + 5):
        raise Broken("two handles do not count together")
    if one.compare_set(_KEY, "other", "new") != b"value":
        raise Broken("compare_set wrote although another value was expected")
    return took


def check_meeting(params: RendezvousParameters) -> Times:
    """Have two nodes meet, each with a handler of its own."""
    handlers = [get_rendezvous_handler(params) for _ in range(2)]
    infos: list[RendezvousInfo | Exception] = []

    def meet(index: int) -> None:
        try:
            infos.append(handlers[index].next_rendezvous())
        except Exception as error:
            infos.append(error)

    began = time.monotonic()
    threads = [threading.Thread(target=meet, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    for handler in handlers:
        if isinstance(handler, DynamicRendezvousHandler):
            handler.leave(done=True)
    for info in infos:
        if isinstance(info, Exception):
            raise info
        for key in (*BOOTSTRAP_KEYS, LOOPBACK_KEY):
            info.store.delete_key(key)
    for handler in handlers:
        handler.shutdown()
    backend = create_backend(params)
    with closing(backend):
        store = create_store(params, backend)
        for key in (rounds_key(params.run_id), history_key(params.run_id)):
            store.delete_key(key)
    return {"round": took}


CHECKS: tuple[tuple[str, Callable[[Patient], Times], str], ...] = (
    ("read the state", check_reading, ""),
    ("compare-and-set, fenced", check_fencing, _PRIMARY),
    (
        "notification",
        check_notification,
        "Name the server itself, no proxy that holds answers back: else news is found once in an interval.",
    ),
    ("members", check_members, _PRIMARY),
    ("store", check_store, _PRIMARY),
)
"""In their order: what people read, how it is checked, and what to do where it is `Broken`."""


def _median(operation: Callable[[], object]) -> float:
    took = []
    for _ in range(_TIMES):
        began = time.monotonic()
        operation()
        took.append(time.monotonic() - began)
    return statistics.median(took)


def _written(backend: MembershipBackend, state: bytes, token: Token) -> Token:
    result = backend.set_state(state, token)
    if result is None or not result[2] or result[0] != state:
        raise Broken("a write with the present token was refused")
    return result[1]


def _refused(backend: MembershipBackend, state: bytes, token: Token, what: str) -> None:
    result = backend.set_state(state, token)
    if result is not None and result[2]:
        raise Broken(f"{what} was accepted")


def _news(backend: MembershipBackend, token: Token) -> Token:
    """Wait for another state than that of ``token``; return its token."""
    deadline = time.monotonic() + _PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        if backend.wait_for_change(token, left):
            found = backend.get_state()
            if found is not None and found[1] != token:
                return found[1]
    raise Broken(f"a waiter was not told of a write within {_PATIENCE:g} s")
