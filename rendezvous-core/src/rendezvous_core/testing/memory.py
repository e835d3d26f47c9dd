"""The reference backend and store: correct, event-driven, in the memory of this process.

For tests of what runs on a backend, for benchmarks, and to be read by authors of backends.
"""

import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

from rendezvous_core.ports.backend import Members, MembershipBackend, Token
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.ports.runs import Runs, StoredRun
from rendezvous_core.ports.store import (
    DEFAULT_TIMEOUT,
    Store,
    Timeout,
    Value,
    check_pairs,
    encode,
    integer,
    keys_timeout,
    peek,
)

Topic = tuple[str, ...]
"""What can be waited for: a run id, and which of its data."""


@dataclass
class _Run:
    state: tuple[bytes, int] | None = None
    members: dict[str, bytes] = field(default_factory=dict)
    news: int = 0
    values: dict[str, bytes] = field(default_factory=dict)


class _Latch:
    """Opens once ``needed`` of its topics were published, whatever becomes of them afterwards."""

    def __init__(self, topics: Sequence[Topic], needed: int) -> None:
        self.topics = topics
        self.needed = needed
        self.stirred = threading.Event()

    @property
    def opened(self) -> bool:
        return self.needed <= 0

    def count_down(self) -> None:
        self.needed -= 1
        if self.opened:
            self.stirred.set()


class MemoryServer:
    """What the memory backends and stores of one group share, as others share a server.

    ``operations`` counts the calls by method, and ``carried`` the bytes of states, records and
    values that went to and fro with them. Clear both at will.
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.carried: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._runs: defaultdict[str, _Run] = defaultdict(_Run)
        self._latches: defaultdict[Topic, set[_Latch]] = defaultdict(set)
        self._serials = itertools.count(1)

    def snapshot(self) -> object:
        """Return a copy of all data, for `restore`."""
        with self._lock:
            return deepcopy(dict(self._runs))

    def restore(self, snapshot: object) -> None:
        """Turn all data back, as the failover to a replica that lagged behind does."""
        if not isinstance(snapshot, dict):
            raise TypeError("restore takes what snapshot returned.")
        with self._lock:
            self._runs = defaultdict(_Run, deepcopy(snapshot))
            for latches in self._latches.values():
                for latch in latches:
                    latch.stirred.set()

    def lose(self) -> None:
        """Lose all data, as the restart of a server without a disk does."""
        self.restore({})

    @contextmanager
    def _call(self, run_id: str, operation: str, again: bool = False) -> Iterator[_Run]:
        with self._lock:
            self.operations[operation] += not again
            yield self._runs[run_id]

    def _publish(self, topic: Topic) -> None:
        for latch in self._latches.pop(topic, ()):
            latch.count_down()

    def _watch(self, topics: Sequence[Topic], needed: int) -> _Latch:
        latch = _Latch(topics, needed)
        for topic in topics:
            self._latches[topic].add(latch)
        return latch

    def _rest(self, latch: _Latch, timeout: float) -> bool:
        """Sleep until the latch opens, or something else calls for a second look."""
        stirred = latch.stirred.wait(timeout)
        with self._lock:
            for topic in latch.topics:
                if topic in self._latches:
                    self._latches[topic].discard(latch)
                    if not self._latches[topic]:
                        del self._latches[topic]
        return stirred


class MemoryBackend(MembershipBackend):
    """A membership backend on a `MemoryServer`."""

    def __init__(self, server: MemoryServer, run_id: str, name: str = "memory") -> None:
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        self._server = server
        self._run_id = run_id
        self._name = name
        self._waiting: set[_Latch] = set()
        self._closed = False

    @property
    def name(self) -> str:
        """See base class."""
        return self._name

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        with self._call("get_state") as run:
            if run.state is not None:
                self._server.carried["get_state"] += len(run.state[0])
            return run.state

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class."""
        with self._call("set_state", len(state)) as run:
            if token != (run.state and run.state[1]):
                return run.state and (*run.state, False)
            run.state = state, next(self._server._serials)
            self._server._publish((self._run_id, "state"))
            return *run.state, True

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class."""
        with self._call("put_member", len(record)) as run:
            run.members[node] = record
            if announce:
                run.news = next(self._server._serials)
                self._server._publish((self._run_id, "news"))

    def remove_member(self, node: str) -> None:
        """See base class."""
        with self._call("remove_member") as run:
            run.members.pop(node, None)

    def members(self) -> Members:
        """See base class."""
        with self._call("members") as run:
            self._server.carried["members"] += sum(map(len, run.members.values()))
            return Members(dict(run.members), run.news)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        """See base class."""
        deadline = time.monotonic() + timeout
        topics = [(self._run_id, "state")] + ([] if members is None else [(self._run_id, "news")])
        waited = False
        while True:
            with self._call("wait_for_change", again=waited) as run:
                if (run.state and run.state[1]) != token or members not in (None, run.news):
                    return True
                latch = self._server._watch(topics, needed=1)
                self._waiting.add(latch)
            stirred = self._server._rest(latch, deadline - time.monotonic())
            self._waiting.discard(latch)
            waited = True
            if self._closed or not stirred:
                return False

    def close(self) -> None:
        """See base class. Ends every wait that is under way."""
        with self._server._lock:
            self._closed = True
            for latch in self._waiting:
                latch.stirred.set()

    @contextmanager
    def _call(self, operation: str, size: int = 0, again: bool = False) -> Iterator[_Run]:
        with self._server._call(self._run_id, operation, again) as run:
            if self._closed:
                raise RendezvousConnectionError(f"This backend '{self._name}' was closed.")
            self._server.carried[operation] += size
            yield run


class MemoryRuns(Runs):
    """All runs on a `MemoryServer`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        with self._server._lock:
            return {
                run_id: StoredRun(run.state[0], dict(run.members))
                for run_id, run in self._server._runs.items()
                if run.state is not None
            }

    def delete(self, run_id: str) -> None:
        """See base class."""
        with self._server._lock:
            self._server._runs.pop(run_id, None)


class MemoryStore(Store):
    """A store on a `MemoryServer`; each run has its own keys."""

    def __init__(self, server: MemoryServer, run_id: str = "", timeout: Timeout = DEFAULT_TIMEOUT) -> None:
        super().__init__(timeout)
        self._server = server
        self._run_id = run_id

    def set(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        with self._writing("set", [key], data) as values:
            values[key] = data

    def get(self, key: str) -> bytes:
        """See base class."""
        return self._read("get", [key])[0]

    def add(self, key: str, amount: int) -> int:
        """See base class."""
        with self._writing("add", [key]) as values:
            total = integer(key, values.get(key)) + amount
            values[key] = b"%d" % total
            return total

    def append(self, key: str, value: Value) -> None:
        """See base class."""
        data = encode(value)
        with self._writing("append", [key], data) as values:
            values[key] = values.get(key, b"") + data

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """See base class."""
        expected, desired = encode(expected_value), encode(desired_value)
        with self._writing("compare_set", [key], expected, desired) as values:
            if values.get(key, b"") == expected:
                values[key] = desired
            return values.get(key, expected)

    def check(self, keys: Sequence[str]) -> bool:
        """See base class."""
        with self._server._call(self._run_id, "check") as run:
            return all(key in run.values for key in keys)

    def wait(self, keys: Sequence[str], timeout: Timeout | None = None) -> None:
        """See base class. Each key has to appear; that it stays until the others come is not asked."""
        self._read("wait", keys, self._limit(timeout))

    def delete_key(self, key: str) -> bool:
        """See base class."""
        with self._server._call(self._run_id, "delete_key") as run:
            return run.values.pop(key, None) is not None

    def num_keys(self) -> int:
        """See base class."""
        with self._server._call(self._run_id, "num_keys") as run:
            return len(run.values)

    def list_keys(self) -> list[str]:
        """See base class."""
        with self._server._call(self._run_id, "list_keys") as run:
            return list(run.values)

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """See base class."""
        return self._read("multi_get", keys)

    def peek_all(self, keys: Sequence[str]) -> list[bytes | None]:
        """See base class; waits for nothing, also where a key is deleted meanwhile."""
        if not (keys and self.check(keys)):
            return [peek(self, key) for key in keys]
        with self._server._call(self._run_id, "multi_get") as run:
            return [run.values.get(key) for key in keys]

    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        """See base class; atomic here."""
        check_pairs(keys, values)
        data = [encode(value) for value in values]
        with self._writing("multi_set", keys, *data) as present:
            present.update(zip(keys, data, strict=True))

    @contextmanager
    def _writing(self, operation: str, keys: Sequence[str], *data: bytes) -> Iterator[dict[str, bytes]]:
        with self._server._call(self._run_id, operation) as run:
            yield run.values
            self._server.carried[operation] += sum(map(len, data))
            for key in keys:
                if key in run.values:
                    self._server._publish((self._run_id, "key", key))

    def _read(self, operation: str, keys: Sequence[str], patience: float | None = None) -> list[bytes]:
        """Return the values once all are there; with ``patience``, only wait for them to appear."""
        limit = self._limit(None) if patience is None else patience
        deadline = time.monotonic() + limit
        waited = False
        while True:
            with self._server._call(self._run_id, operation, again=waited) as run:
                missing = [key for key in dict.fromkeys(keys) if key not in run.values]
                if not missing:
                    found = [run.values[key] for key in keys] if patience is None else []
                    self._server.carried[operation] += sum(map(len, found))
                    return found
                left = deadline - time.monotonic()
                if left <= 0:
                    raise keys_timeout(limit, missing, set(keys).difference(missing))
                latch = self._server._watch([(self._run_id, "key", key) for key in missing], len(missing))
            self._server._rest(latch, left)
            waited = True
            if patience is not None and latch.opened:
                return []
