"""The thread of one node: it does all that the node does, and sees to the wishes of user threads.

These never touch the node and never do I/O. They put a wish into a queue, see to it that the thread
lives, and wait for the answer; all that is safe in the middle of itself, so a signal handler may do it
too, and may raise anywhere.
"""

import logging
import math
import os
import time
from _thread import allocate_lock
from collections.abc import Callable
from queue import Empty
from typing import Any, NamedTuple

from rendezvous_core.dynamic.clock import read_clock
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.dynamic.reporting import Reporter
from rendezvous_core.dynamic.waiters import Waiters
from rendezvous_core.dynamic.wishes import Ask, Errand, Quit, Stop, View, Wish
from rendezvous_core.ports.calls import begin, start
from rendezvous_core.ports.errors import (
    RendezvousBackendLostError,
    RendezvousClosedError,
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.exiting import leave_at_exit
from rendezvous_core.ports.waiting import Inbox
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import Operation, Rest, Steps, Token, Wait
from rendezvous_core.records.state import State

_logger = logging.getLogger("rendezvous_core")

_EXIT_PATIENCE = 1.0
"""How many seconds the exit of the interpreter waits for nodes to leave."""

_LAST_WORDS = 0.5
"""For how many seconds a thread that ends waits for what it had to put down."""

_OVERDUE = 1.25
"""After how many times its timeout a backend's wait is no longer waited for."""

_MOST_WAITS = 4
"""How many waits of a backend's may be under way: one is, but for those that were overtaken."""


class _Waited(NamedTuple):
    """How a wait of the backend's, on another thread, has ended."""

    tokens: tuple[Token, Token]
    result: Any
    """As of a `Wait`, or the error that it has raised."""


class NodeThread:
    """Drives one `Node` against a real backend.

    The thread lives while the node has business in the run or a wish is open; `send` is the one place
    that starts it.
    """

    def __init__(self, node: Node, performer: Performer, reporter: Reporter) -> None:
        self.node = node
        self.view = View()
        self.state: State | None = None
        self.trouble: RendezvousError | None = None
        self._is_shut = False
        self._performer = performer
        self._reporter = reporter
        self._pid = os.getpid()
        self._inbox: Inbox[Wish | _Waited] = Inbox()
        self._alive = allocate_lock()
        self._waiters = Waiters()
        # Of the thread alone:
        self._asked: Ask | None = None
        self._latest: Ask | None = None
        self._quits: list[Quit] = []
        self._errands: list[Errand] = []
        self._stops: list[Stop] = []
        self._waits: list[tuple[Token, Token]] = []
        self._news: Any = False
        """What a wait has told and the node has not heard."""
        self._reached = 0.0

    # For user threads, and signal handlers in the middle of them

    @property
    def is_running(self) -> bool:
        """Whether the thread lives."""
        return self._alive.locked()

    def check_process(self) -> None:
        """Raise `RendezvousError` in a forked child."""
        if os.getpid() != self._pid:
            raise RendezvousError(
                "This rendezvous handler belongs to the process that created it; a forked child must "
                "create its own."
            )

    def send(self, wish: Wish) -> None:
        """Have the thread see to ``wish``. Whoever comes while the thread ends is seen by its last look."""
        self.check_process()
        self._inbox.put(wish)
        if not self.is_running:
            start(self._run)

    def wait(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Block until ``condition`` holds, which the thread alone makes true; ``False`` at ``deadline``."""

        def holds() -> bool:
            self.check_process()
            return condition()

        return self._waiters.wait(holds, deadline)

    # The thread

    def _run(self) -> None:
        # Of several threads that were started at the same time, one goes on.
        while (self._errands or not self._inbox.empty()) and self._alive.acquire(blocking=False):
            _running.add(self)
            try:
                self._work()
            except RendezvousError as error:
                self._fail(error)
            except BaseException as error:
                _logger.exception("The rendezvous thread of node %s failed.", self.node.member.node)
                failure = RendezvousError(f"The rendezvous thread failed: {type(error).__name__}: {error}")
                failure.__cause__ = error
                self._fail(failure)
            finally:
                if self.node.trouble is None:
                    self._reporter.flush(_LAST_WORDS)
                _running.discard(self)
                self._alive.release()
                self._waiters.wake()

    def _work(self) -> None:
        steps: Steps | None = None
        answer: Any = None
        while True:
            self._hear_all()
            if self._run_due_errand():
                continue
            if self._stops and not self.node.finished:
                self.node.finished, steps = True, None
                self._settle()
            if steps is None and self.node.finished:
                if self._stops:
                    self._end()
                if not self._errands:
                    return
                self._await(Rest(self._next_errand() - time.monotonic()))
                continue
            if steps is None:
                steps, answer = self.node.live(), None
            operation = self._advance(steps, answer)
            if operation is None:
                steps = None
            else:
                answer = self._perform(operation)

    def _advance(self, steps: Steps, answer: Any) -> Operation | None:
        self.node.now = read_clock()
        try:
            return steps.throw(answer) if isinstance(answer, RendezvousError) else steps.send(answer)
        except StopIteration:
            return None
        finally:
            self._settle()
            self._reporter.report(self.node)

    def _perform(self, operation: Operation) -> Any:
        try:
            if isinstance(operation, Wait | Rest):
                return self._await(operation)
            return self._performer.perform(operation)
        except RendezvousError as failure:
            return self._refused(failure)

    def _refused(self, failure: RendezvousError) -> RendezvousConnectionError:
        """Answer a pending ask with ``failure``, unless it may pass; a node in a round goes on trying."""
        is_lost = isinstance(failure, RendezvousBackendLostError)
        if isinstance(failure, RendezvousConnectionError) and not is_lost:
            return failure
        error = RendezvousConnectionError(str(failure))
        error.__cause__ = failure
        if self.node.outcome is None:
            self.node.refuse(failure)
        elif is_lost and self.node.member.intent != "join":
            self.node.trouble, self.node.finished = error, True
        return error

    def _fail(self, error: RendezvousError) -> None:
        self.node.refuse(error)
        self._settle()

    def _end(self) -> None:
        if any(stop.close_backend for stop in self._stops) and not self._is_shut:
            self._is_shut = True
            if self.node.trouble is None:
                self._reporter.flush(_LAST_WORDS)
            self._performer.close()
            for errand in self._errands:
                self._answer(errand, _shut())
            self._errands.clear()
        for stop in self._stops:
            self._answer(stop, True)
        self._stops.clear()
        self._settle()

    # Wishes

    def _hear_all(self) -> None:
        while not self._inbox.empty():
            self._hear(self._inbox.get())

    def _hear(self, message: Wish | _Waited) -> None:
        self.node.now = read_clock()
        match message:
            case _Waited(tokens, result):
                self._waits.remove(tokens)
                if result and not isinstance(result, RendezvousError):
                    self._news = result
            case Wish(is_void=True):
                pass
            case Ask() | Errand() if self._is_shut:
                self._answer(message, _shut())
            case Ask():
                if self._asked is not None:
                    self._answer(message, RendezvousError("next_rendezvous is already under way."))
                else:
                    self._answer_quits(False)  # the others see a new ask instead
                    self._asked = self._latest = message
                    self.node.ask()
            case Quit(intent=intent, ask=ask):
                if self.node.finished or ask not in (None, self._latest):
                    self._answer(message, True)
                else:
                    if intent != "cancel" and self._asked is not None:
                        self._answer(self._asked, None)
                        self._asked = None
                    if intent != "cancel":
                        self._quits.append(message)
                        self._reached = self.node.now
                    self.node.quit(intent)
            case Errand():
                self._errands.append(message)
            case Stop():
                self._stops.append(message)
        self._settle()

    def _run_due_errand(self) -> bool:
        """Make one attempt at an errand that is due; whether there was one."""
        now = time.monotonic()
        errand = next((each for each in self._errands if each.due <= now), None)
        if errand is None:
            return False
        self._errands.remove(errand)
        if errand.is_void:
            return True
        try:
            self._answer(errand, self._complete(errand))
        except RendezvousError as error:
            errand.due = time.monotonic() + next(errand.pauses)
            passes = isinstance(error, RendezvousConnectionError)
            lost = isinstance(error, RendezvousBackendLostError)
            if errand.insists and passes and not lost and errand.due < errand.deadline:
                self._errands.append(errand)
            else:
                self._answer(errand, error)
        self._settle()
        self._reporter.report(self.node)
        return True

    def _complete(self, errand: Errand) -> Any:
        steps, answer = errand.steps(), None
        while True:
            self.node.now = read_clock()
            try:
                operation = steps.send(answer)
            except StopIteration as end:
                return end.value
            if time.monotonic() > errand.deadline:
                raise RendezvousTimeoutError(
                    "Other nodes changed the rendezvous faster than it could be closed."
                )
            answer = self._performer.perform(operation)

    def _next_errand(self) -> float:
        return min((errand.due for errand in self._errands), default=math.inf)

    # Waiting

    def _await(self, operation: Wait | Rest) -> Any:
        """Do nothing until what is waited for happens, the time is over, or there is a wish to see to."""
        tokens = None
        timeout = operation.seconds if isinstance(operation, Rest) else operation.timeout * _OVERDUE
        if isinstance(operation, Wait) and not self._news:
            tokens = self._watch(operation)
        deadline = min(time.monotonic() + timeout, self._next_errand())
        while isinstance(operation, Rest) or not self._news:
            try:
                message = self._inbox.get(timeout=deadline - time.monotonic())
            except Empty:
                return False
            self._hear(message)
            if isinstance(message, Wish):
                return False
            if message.tokens == tokens and isinstance(message.result, RendezvousError):
                raise message.result
            if message.tokens == tokens and not message.result:
                return False
        news, self._news = self._news, False
        return news

    def _watch(self, wait: Wait) -> tuple[Token, Token]:
        """Have the backend wait on another thread: this one must hear wishes meanwhile.

        A wait that a wish has interrupted is still under way, and serves again.
        """
        tokens = wait.token, wait.members

        def watch() -> None:
            result: Any
            try:
                result = self._performer.perform(wait)
            except RendezvousError as error:
                result = error
            self._inbox.put(_Waited(tokens, result))

        if tokens not in self._waits and len(self._waits) < _MOST_WAITS:
            begin(watch)
            self._waits.append(tokens)
        return tokens

    # Answers

    def _answer(self, wish: Wish, answer: Any) -> None:
        wish.settle(answer)
        self._waiters.wake()

    def _answer_quits(self, answer: bool) -> None:
        for wish in self._quits:
            self._answer(wish, answer)
        self._quits.clear()

    def _settle(self) -> None:
        """Publish what the node has become, and answer what that answers."""
        node, former = self.node, self.view
        if node.trouble is None:
            self._reached = node.now
        elif node.member.intent != "join" and node.now - self._reached > node.member.dead_after:
            node.finished = True  # nobody could be told, and all have found it silent by now
        self.state, self.trouble = node.state, node.trouble
        self.view = View(
            node.outcome,
            node.joined,
            node.finished,
            node.member.intent,
            node.nodes_waiting,
            node.is_closed,
            node.leaving,
        )
        if self._asked is not None and (node.outcome is not None or node.finished):
            self._answer(self._asked, node.outcome)
            self._asked = None
        if node.finished:
            self._answer_quits(node.trouble is None)
        if self.view != former:
            self._waiters.wake()


def _shut() -> RendezvousClosedError:
    return RendezvousClosedError("This rendezvous handler was shut down.")


_running: set[NodeThread] = set()


@leave_at_exit
def _leave() -> None:
    """Nodes whose process ends leave their round, so that the others need not wait for a silence."""
    # A copy, made in one step: threads that end meanwhile leave the set.
    threads = [each for each in list(_running) if each._pid == os.getpid() and each.trouble is None]
    deadline = time.monotonic() + _EXIT_PATIENCE
    for thread in threads:
        thread.send(Quit("leave"))
    for thread in threads:
        thread.wait(lambda thread=thread: not thread.is_running, deadline)  # type: ignore[misc]
