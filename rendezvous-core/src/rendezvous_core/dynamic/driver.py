"""Drives one `Node` against a real backend: one thread, one lock, and the errors of the backend."""

import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from rendezvous_core.dynamic.reporting import Reporter
from rendezvous_core.ports.backend import MembershipBackend
from rendezvous_core.ports.errors import (
    RendezvousBackendLostError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousStateError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.exiting import leave_at_exit
from rendezvous_core.protocol.codec import decode_member, decode_state, encode_member, encode_state
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import (
    List,
    Operation,
    Put,
    Read,
    Remove,
    Rest,
    Steps,
    Token,
    Wait,
    Write,
)
from rendezvous_core.protocol.records import Intent, Member, State

_logger = logging.getLogger("rendezvous_core")

_EXIT_PATIENCE = 1.0
"""How many seconds the exit of the interpreter waits for nodes to leave."""


class Driver:
    """The background thread of one node, and the doors through which user threads reach the node.

    All state of the node is guarded by one lock that is never held during I/O. The thread lives as
    long as the node has business in the run; it holds the driver but not the handler, so that a
    handler which is dropped is noticed.
    """

    def __init__(
        self, node: Node, backend: MembershipBackend, reporter: Reporter, heartbeat_timeout: float
    ) -> None:
        self.node = node
        self._backend = backend
        self._reporter = reporter
        self._heartbeat_timeout = heartbeat_timeout
        self._changed = threading.Condition()
        self._putting = threading.Lock()
        self._newest: Member | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._abandoned = False
        self._pid = os.getpid()
        self._decoded_members: dict[str, tuple[bytes, Member | None]] = {}

    # Doors for user threads

    def ask(self) -> None:
        """Start a new ask; the thread is started if the node was out of business."""
        if os.getpid() != self._pid:
            raise RendezvousError(
                "This rendezvous handler belongs to the process that created it; a forked child must "
                "create its own."
            )
        self._abandoned = False
        with self._changing():
            resting = self.node.finished
            self.node.ask()
            if self.node.finished:
                return  # closed, as this node knows already
            if resting:
                self._start()
                return
        self._announce()

    def quit(self, intent: Intent) -> None:
        """Withdraw the node; the thread sees it through."""
        with self._changing():
            if self.node.finished or os.getpid() != self._pid:
                return
            self.node.quit(intent)
        self._announce()

    def wait_for_outcome(self, deadline: float) -> Joined | RendezvousError | None:
        """Block until the present ask is answered, or withdrawn; ``None`` if it is not in time."""
        self._wait(lambda: self.node.outcome is not None or self.node.finished, deadline)
        with self._changed:
            return self.node.outcome

    def wait_for_membership_change(self, timeout: float | None) -> bool:
        """Block until the round that the node is in calls for another, or the node's part in it is over."""
        node = self.node
        with self._changed:
            joined = node.joined

            def is_over() -> bool:
                return node.finished or node.joined is not joined or node.member.intent != "join"

            self._changed.wait_for(lambda: is_over() or node.nodes_waiting > 0, timeout)
            if node.joined is joined and isinstance(node.outcome, RendezvousError):
                raise node.outcome
            return node.nodes_waiting > 0 and not is_over()

    def wait_until_finished(self, deadline: float) -> bool:
        """Block until the node has no more business in the run."""
        return self._wait(lambda: self.node.finished, deadline)

    def close_run(self, deadline: float) -> None:
        """Close the run from the calling thread, retrying until ``deadline``.

        Raises:
            RendezvousConnectionError: the backend could not be reached in time.
            RendezvousTimeoutError: other nodes' writes won every time.
        """
        pause = 0.01
        while True:
            try:
                self._drive(self.node.close(), deadline)
            except RendezvousConnectionError as error:
                if isinstance(error, RendezvousBackendLostError) or time.monotonic() + pause > deadline:
                    raise
            else:
                return
            self._stop.wait(pause)
            pause = min(2 * pause, 1.0)

    def read_state(self) -> State | None:
        """Read the state from the calling thread, without taking part in the run."""
        reply = self._perform(Read())
        return reply[0] if reply else None

    def members(self) -> Mapping[str, Member]:
        """List the members from the calling thread."""
        listed: Mapping[str, Member] = self._perform(List())[0]
        return listed

    def stop(self) -> None:
        """End the thread without telling anybody; used once the run is closed."""
        # One whose node is finished ends by itself, when it has removed the node's record.
        if not self.node.finished:
            self._stop.set()

    def abandon(self) -> None:
        """Have the thread leave the run. Takes no lock: a garbage collector may call it anywhere."""
        self._abandoned = True

    # The thread

    def _start(self) -> None:
        former = self._thread
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._run, args=(former,), name=f"rendezvous-{self.node.member.node[:8]}", daemon=True
        )
        _running.add(self)
        self._thread.start()

    def _run(self, former: threading.Thread | None) -> None:
        if former is not None:
            former.join()
        try:
            self._drive(self.node.live(), None)
        except RendezvousError as error:
            self._fail(error)
        except BaseException as error:
            _logger.exception("The rendezvous thread of node %s failed.", self.node.member.node)
            failure = RendezvousError(f"The rendezvous thread failed: {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            _running.discard(self)

    def _fail(self, error: RendezvousError) -> None:
        with self._changing():
            self.node.refuse(error)

    def _drive(self, steps: Steps, deadline: float | None) -> None:
        """Run ``steps`` to their end: the thread's life, or with a deadline a user thread's errand."""
        background = deadline is None
        value: Any = None
        error: RendezvousConnectionError | None = None
        while not (background and self._stop.is_set()):
            with self._changing():
                if self._abandoned and background and not self.node.finished:
                    self._abandoned = False
                    self.node.quit("leave")
                try:
                    operation = steps.throw(error) if error else steps.send(value)
                except StopIteration:
                    return
            if deadline is None:
                self._reporter.report(self.node)
            elif time.monotonic() > deadline:
                raise RendezvousTimeoutError(
                    "Other nodes changed the rendezvous faster than it could be closed."
                )
            value, error = None, None
            try:
                value = self._perform(operation)
            except RendezvousConnectionError as failure:
                lost = background and isinstance(failure, RendezvousBackendLostError)
                error = self._refused(failure) if lost else failure
            except RendezvousError as failure:
                if not background:
                    raise
                error = self._refused(failure)

    def _refused(self, failure: RendezvousError) -> RendezvousConnectionError:
        """Answer a pending ask with ``failure``; a node that is in a round goes on trying."""
        error = RendezvousConnectionError(str(failure))
        error.__cause__ = failure
        with self._changing():
            if self.node.outcome is None:
                self.node.refuse(failure)
            elif self.node.member.intent != "join" and isinstance(failure, RendezvousBackendLostError):
                self.node.trouble, self.node.finished = error, True
        return error

    def _announce(self) -> None:
        """Put the record from a user thread, since the background thread may sit in a wait."""
        with self._changing():
            put = self.node.put()
        try:
            self._perform(put)
        except RendezvousError:
            with self._changing():
                self.node.put_failed(put)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock while the node may change; wakes the user threads if what they wait for did."""
        with self._changed:
            former = self._awaited()
            self.node.now = time.monotonic()
            try:
                yield
            finally:
                if self._awaited() != former:
                    self._changed.notify_all()

    def _awaited(self) -> tuple[object, ...]:
        node = self.node
        return node.outcome, node.joined, node.finished, node.member.intent, node.nodes_waiting

    def _wait(self, condition: Callable[[], bool], deadline: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, max(0.0, deadline - time.monotonic()))

    # Operations

    def _perform(self, operation: Operation) -> Any:
        try:
            return self._apply(operation)
        except RendezvousError:
            raise
        except Exception as error:
            if _is_from_signal_handler(error):
                raise
            if isinstance(error, OSError):
                raise RendezvousConnectionError(
                    f"The backend '{self._backend.name}' failed: {type(error).__name__}: {error}"
                ) from error
            raise RendezvousStateError(
                f"The backend '{self._backend.name}' raised {type(error).__name__}: {error}. "
                "A backend may raise only rendezvous errors; please report this to its author."
            ) from error

    def _apply(self, operation: Operation) -> Any:
        match operation:
            case Read():
                found = self._backend.get_state()
                return found and (decode_state(found[0]), found[1])
            case Write(state, token):
                standing = self._backend.set_state(encode_state(state), token)
                return standing and (decode_state(standing[0]), *standing[1:])
            case Put(member, announce):
                self._put(member, announce)
            case Remove(node):
                self._backend.remove_member(node)
            case List():
                return self._list()
            case Wait(token, members, timeout):
                return self._backend.wait_for_change(token, timeout, members)
            case Rest(seconds):
                self._stop.wait(seconds)
        return None

    def _put(self, member: Member, announce: bool) -> None:
        with self._putting:
            if self._newest is not None and member.beat <= self._newest.beat:
                if not announce:
                    return
                member = self._newest  # the other thread has put it meanwhile, but told nobody
            began = time.monotonic()
            data = encode_member(replace(member, at=time.time()))
            self._backend.put_member(member.node, data, announce=announce)
            self._newest = member
            took = time.monotonic() - began
            if took > self._heartbeat_timeout:
                _logger.warning("A heartbeat of node %s took %.1f s.", member.node, took)

    def _list(self) -> tuple[dict[str, Member], Token]:
        records, token = self._backend.members()
        decoded: dict[str, tuple[bytes, Member | None]] = {}
        for node, data in records.items():
            known = self._decoded_members.get(node)
            decoded[node] = known if known and known[0] == data else (data, self._decode_member(node, data))
        self._decoded_members = decoded
        return {node: member for node, (_, member) in decoded.items() if member}, token

    def _decode_member(self, node: str, data: bytes) -> Member | None:
        """A record that cannot be read is passed over: one node's damage must not stop the others."""
        try:
            member = decode_member(data)
        except RendezvousStateError as error:
            _logger.warning("Ignoring the record of node %s: %s", node, error)
            return None
        return member if member.node == node else None


def _is_from_signal_handler(error: BaseException) -> bool:
    """Whether a handler of the program raised ``error`` in the middle of a backend's call."""
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()}
    return any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__))


_running: set[Driver] = set()


@leave_at_exit
def _leave() -> None:
    """Nodes whose process ends leave their round, so that the others need not wait for a silence."""
    # A copy, made in one step: threads that end meanwhile leave the set.
    drivers = [driver for driver in list(_running) if driver._pid == os.getpid()]
    for driver in drivers:
        if driver.node.trouble is None:
            driver.quit("leave")
    deadline = time.monotonic() + _EXIT_PATIENCE
    for driver in drivers:
        if driver.wait_until_finished(deadline) and (thread := driver._thread):
            thread.join(max(0.0, deadline - time.monotonic()))
