"""Groups of handlers over each kind of backend, and what tests wait for."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rendezvous_core import (
    DynamicRendezvousHandler,
    Members,
    MembershipBackend,
    RendezvousBackend,
    RendezvousConnectionError,
    RendezvousInfo,
    RendezvousTimeout,
    StoreBackend,
    Token,
)
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore

PATIENCE = 30.0


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until ``condition`` holds; fail with ``what`` if it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not in {PATIENCE:g} s: {what}"
        time.sleep(0.005)


class Register(RendezvousBackend):
    """The least that a backend can be: a register and nothing else."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        self._backend = MemoryBackend(server, f"register of {run_id}")

    @property
    def name(self) -> str:
        return "register"

    def get_state(self) -> tuple[bytes, Token] | None:
        return self._backend.get_state()

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        return self._backend.set_state(state, token)


class Faulty(MembershipBackend):
    """Passes everything on, unless told to fail."""

    def __init__(self, backend: MembershipBackend) -> None:
        self._backend = backend
        self.error: Exception | None = None
        self.failed = threading.Event()
        self.calls: list[str] = []

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(name)
        if self.error is not None:
            self.failed.set()
            raise self.error
        return getattr(self._backend, name)(*args, **kwargs)

    @property
    def name(self) -> str:
        return "faulty"

    def get_state(self) -> tuple[bytes, Token] | None:
        found: tuple[bytes, Token] | None = self._call("get_state")
        return found

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        standing: tuple[bytes, Token, bool] | None = self._call("set_state", state, token)
        return standing

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        self._call("put_member", node, record, announce=announce)

    def remove_member(self, node: str) -> None:
        self._call("remove_member", node)

    def members(self) -> Members:
        listed: Members = self._call("members")
        return listed

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        changed: bool = self._call("wait_for_change", token, timeout, members)
        return changed

    def cut(self) -> None:
        """Let every call fail from now on."""
        self.failed.clear()
        self.error = RendezvousConnectionError("the cable is out")

    def mend(self) -> None:
        """Let calls through again."""
        self.error = None


class Group:
    """Handlers of one run."""

    def __init__(self, kind: str = "memory") -> None:
        self.kind = kind
        self.server = MemoryServer()
        self.handlers: list[DynamicRendezvousHandler] = []
        self._pool = ThreadPoolExecutor(64)

    def backend(self, run_id: str = "run") -> RendezvousBackend:
        """Another client of the server."""
        match self.kind:
            case "memory":
                return MemoryBackend(self.server, run_id)
            case "store":
                return StoreBackend(MemoryStore(self.server, "shared"), run_id)
            case _:
                return Register(self.server, run_id)

    def node(
        self,
        min_nodes: int = 2,
        max_nodes: int = 4,
        *,
        backend: RendezvousBackend | None = None,
        run_id: str = "run",
        join: float = PATIENCE,
        last_call: float = 0.3,
        interval: float = 0.2,
        attempts: int = 5,
        address: str = "localhost",
        **options: Any,
    ) -> DynamicRendezvousHandler:
        """A handler that has not asked yet."""
        handler = DynamicRendezvousHandler.from_backend(
            run_id,
            MemoryStore(self.server, f"store of {run_id}"),
            backend or self.backend(run_id),
            min_nodes,
            max_nodes,
            address,
            RendezvousTimeout(
                join=timedelta(seconds=join),
                last_call=timedelta(seconds=last_call),
                close=timedelta(seconds=10),
            ),
            interval,
            attempts,
            **options,
        )
        self.handlers.append(handler)
        return handler

    def ask(self, *handlers: DynamicRendezvousHandler) -> list["Future[RendezvousInfo]"]:
        """Have each ask on a thread of its own."""
        return [self._pool.submit(handler.next_rendezvous) for handler in handlers]

    def join(self, *handlers: DynamicRendezvousHandler) -> list[RendezvousInfo]:
        """Have all ask and wait for the round."""
        infos = [future.result(PATIENCE) for future in self.ask(*handlers)]
        assert sorted(info.rank for info in infos) == list(range(len(infos)))
        assert {info.world_size for info in infos} == {len(infos)}
        return infos

    def close(self) -> None:
        """Let all threads end."""
        for handler in self.handlers:
            handler.shutdown()
        self._pool.shutdown()


@contextmanager
def group(kind: str = "memory") -> Iterator[Group]:
    """A group that is cleared away afterwards."""
    members = Group(kind)
    try:
        yield members
    finally:
        members.close()


def kill(handler: DynamicRendezvousHandler) -> None:
    """Stop the node's thread without a word, as if its machine had lost power."""
    handler._driver.stop(time.monotonic() + PATIENCE)
