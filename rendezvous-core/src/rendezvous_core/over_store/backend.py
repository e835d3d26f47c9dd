"""A membership backend over any store."""

import contextlib
import re
import threading
import time
from collections.abc import Collection, Sequence
from secrets import token_bytes, token_hex
from urllib.parse import quote, unquote

from rendezvous_core.over_store.prefix_store import PrefixStore
from rendezvous_core.plugins.loading import adapt_store
from rendezvous_core.ports.backend import Members, MembershipBackend, Token
from rendezvous_core.ports.errors import (
    RendezvousConnectionError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.store import Store, Write, peek

_STATE = "state"
_INDEX = "index"
_BELL = "bell"

_HEAD = re.compile(rb"rdzv1((?: [0-9a-f]{16})+)\n")
_KEPT_SIGNALS = 8
_NONCE = 8
_SLICE = 5.0
_SLACK = 16


class StoreBackend(MembershipBackend):
    """Keeps a run in ``store``, under the prefix ``rendezvous-run/<run_id, percent-encoded>``.

    Any store will do: of the abstract methods of `Store` it uses neither `Store.num_keys` nor
    `Store.list_keys`. It waits on a `Store.clone`. The keys of a run:

    - ``state``: ids of this and earlier writes, then the state. The value is its own token.
    - ``changed/<id>``: exists once the state of that id was replaced; ``changed/none``, once a
      first state was written. Nobody has to know the id of a write to wait for it.
    - ``index``: the nodes that ever put a record, and ``member/<node>``: a nonce and the record,
      or nothing once the node was removed.
    - ``bell``: exists while an announcement, or a new state, awaits the one who waits for members.
      That is the coordinator: a second waiter may learn of an announcement only by its timeout.

    A record costs one operation, one more when it is announced and one more when it is a node's
    first; reading the state and waiting for it cost one each, writing it two or three, listing the
    members three.

    Args:
        store: the store; closing this backend does not touch it.
        run_id: the run; runs in one store know nothing of each other.
        name: the name under which the backend is selected.

    Raises:
        ValueError: an empty run id.
    """

    def __init__(self, store: Store, run_id: str, name: str = "store") -> None:
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        self._name = name
        self._store = adapt_store(store)
        self._prefix = f"rendezvous-run/{quote(run_id, safe='')}"
        self._run = PrefixStore(self._prefix, self._store)
        self._idle: list[PrefixStore] = []
        self._written: dict[str, bytes] = {}
        self._latest: object = self  # what was last read of the state; at first neither bytes nor None
        self._bell_watcher: int | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """See base class."""
        return self._name

    @property
    def store(self) -> Store:
        """The store that was given."""
        return self._store

    @property
    def prefix(self) -> str:
        """What the keys of the run begin with, before a slash."""
        return self._prefix

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        self._check_open()
        value = self._look()
        return None if value is None else (self._split(value)[1], value)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class. A write of which only the reply was lost is recognised as done."""
        self._check_open()
        try:
            ids = [] if token is None else self._split(token)[0]
        except RendezvousStateError:  # a foreign token
            found = self.get_state()
            return found and (*found, False)
        written = _join([token_hex(_NONCE), *ids[:_KEPT_SIGNALS]], state)
        standing = self._replace(token, written)
        if standing is None:
            return None
        if standing != written:
            return self._split(standing)[1], standing, False
        with contextlib.suppress(RendezvousConnectionError):  # the write stands; waiters time out
            self._announce_state(ids)
        return state, written, True

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class."""
        self._check_open()
        run, key, value = self._run, _member(node), token_bytes(_NONCE) + record
        former = self._written.get(node)
        writes: list[Write] = []
        # That one's own last record still stands proves that the index still names the node.
        if former is None or run.compare_set(key, former, value) != value:
            writes += [("set", key, value), ("append", _INDEX, _entry(node))]
        if announce:
            writes.append(("set", _BELL, b"1"))
        run.write_all(writes)
        self._written[node] = value

    def remove_member(self, node: str) -> None:
        """See base class."""
        self._check_open()
        self._written.pop(node, None)
        key = _member(node)
        value = peek(self._run, key)
        if value:
            self._run.compare_set(key, value, b"")

    def members(self) -> Members:
        """See base class."""
        self._check_open()
        index = peek(self._run, _INDEX) or b""
        lines = index.decode(errors="replace").split("\n")
        entries = [unquote(line[1:]) for line in lines if line.startswith("+")]
        nodes = list(dict.fromkeys(entries))
        values = self._run.peek_all([_member(node) for node in nodes])
        records = {node: value[_NONCE:] for node, value in zip(nodes, values, strict=True) if value}
        if None in values or len(entries) > 2 * len(records) + _SLACK:
            self._compact(index, nodes, records)
        return Members(records, True)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        """See base class.

        Looks at the state first only where ``token`` is not what this backend last read: what was
        written since then has left its signal.
        """
        self._check_open()
        deadline = time.monotonic() + timeout
        me = threading.get_ident()
        if members is not None:
            self._bell_watcher = me
        elif self._bell_watcher == me:
            self._bell_watcher = None
        if self._latest != token and self._look() != token:
            return True
        awaited = _signal(None if token is None else self._split(token)[0][0]) if members is None else _BELL
        while not self._closed:
            # To some stores no time means for ever, and they count in milliseconds.
            if not self._wait(awaited, max(0.001, min(deadline - time.monotonic(), _SLICE))):
                if self._closed or time.monotonic() >= deadline:
                    return False
                if self._look() != token:
                    return True
                continue
            if members is not None:
                self._run.delete_key(_BELL)  # before the caller lists, so that no put is missed
            elif token is None and self._look() is None:
                self._run.delete_key(awaited)  # it was of a state that was lost since
                if self._look() is None:
                    continue
            return True
        return False

    def close(self) -> None:
        """See base class. A wait under way ends within five seconds."""
        self._closed = True
        self._idle.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RendezvousConnectionError(f"This backend '{self._name}' was closed.")

    def _look(self) -> bytes | None:
        value = peek(self._run, _STATE)
        self._latest = value
        return value

    def _split(self, value: object) -> tuple[list[str], bytes]:
        """Return the ids of a stored state, the newest first, and the state."""
        found = _HEAD.match(value) if isinstance(value, bytes) else None
        if found is None:
            raise RendezvousStateError(
                f"The key '{self._prefix}/{_STATE}' of the store holds no state of this library: "
                f"{value!r:.80}. Delete it, or choose another run id."
            )
        return found[1].decode().split(), found.string[found.end() :]

    def _replace(self, token: bytes | None, written: bytes) -> bytes | None:
        """Compare-and-set the state; return what then stands."""
        try:
            value = self._run.compare_set(_STATE, token or b"", written)
        except RendezvousConnectionError:
            if self._look() != written:
                raise
            return written
        self._latest = None if value == token else value
        return None if value == token else value

    def _announce_state(self, ids: Sequence[str]) -> None:
        """Wake those who wait for the state of ``ids``, the newest first, to be replaced."""
        keys = [_signal(ids[0] if ids else None)]
        if self._bell_watcher != threading.get_ident():  # who waits for members knows its own writes
            keys.append(_BELL)
        self._run.multi_set(keys, [b"1"] * len(keys))
        for old in ids[_KEPT_SIGNALS:]:
            self._run.delete_key(_signal(old))

    def _wait(self, key: str, timeout: float) -> bool:
        """Wait on a handle that is used for nothing else meanwhile: some block all other calls.

        ``True`` when the key is there, and may be so too early; ``False`` when the time has run out.
        """
        store = self._idle.pop() if self._idle else self._run.clone()
        appeared = True
        try:
            store.wait([key], timeout)
        except RendezvousTimeoutError:
            appeared = False
        self._idle.append(store)
        return appeared

    def _compact(self, index: bytes, nodes: Collection[str], kept: Collection[str]) -> None:
        """Drop from the index all but the nodes that are ``kept``, unless one was added meanwhile.

        Their records are deleted by the compaction after this one, since a record that is deleted
        while somebody lists by the former index would block that reader.
        """
        former, _, _ = index.decode(errors="replace").partition("\n+")
        doomed = {unquote(word[1:]) for word in former.split() if word.startswith("-")}.difference(nodes)
        dropped = "".join(f" -{quote(node, safe='')}" for node in nodes if node not in kept)
        # The nonce keeps an index from ever being the same again.
        shorter = f"#{token_hex(_NONCE)}{dropped}\n" + "".join(map(_entry, kept))
        if self._run.compare_set(_INDEX, index, shorter) == shorter.encode():
            for node in doomed:
                self._run.delete_key(_member(node))


def _entry(node: str) -> str:
    return f"+{quote(node, safe='')}\n"


def _member(node: str) -> str:
    return f"member/{node}"


def _signal(state_id: str | None) -> str:
    return f"changed/{state_id or 'none'}"


def _join(ids: Sequence[str], state: bytes) -> bytes:
    return f"rdzv1 {' '.join(ids)}\n".encode() + state
