"""One node of ``rdzv run``: meets the others, runs the command, meets again when the group changes."""

import math
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rendezvous_core.cli.child import Child, describe_exit
from rendezvous_core.cli.event_log import events_told
from rendezvous_core.cli.exit_codes import ExitCode, exit_code_of, status_of
from rendezvous_core.cli.notices import Board
from rendezvous_core.cli.output import Output
from rendezvous_core.cli.seat import Place, Seat, take_seat
from rendezvous_core.cli.signals import STOPS, signals_to
from rendezvous_core.cli.waiting import waiting_shown
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from rendezvous_core.ports.errors import (
    RendezvousClosedError,
    RendezvousError,
    RendezvousGracefulExitError,
)
from rendezvous_core.ports.notice import Notice
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.waiting import Inbox
from rendezvous_core.protocol.node import Joined


@dataclass(frozen=True)
class Job:
    """What a node is to run, and how patient it is with it."""

    command: Sequence[str]
    max_restarts: int
    """How often the command is started again after it failed."""
    grace: float
    """Seconds that the command has to end after a signal, before it is killed."""
    signals_group: bool = False
    """Whether all that the command started gets signals as well."""
    exports: Sequence[str] = ()
    """The frameworks whose variables the command gets."""
    drain: float | None = None
    """Within how many seconds the node goes that gets SIGTERM, telling the others; ``None``: at once."""


class _Changed(NamedTuple):
    joined: Joined


class _Noticed(NamedTuple):
    joined: Joined
    notice: Notice


class _Left(NamedTuple):
    confirmed: bool


class _Go(NamedTuple):
    pass


_Event = signal.Signals | Seat | _Changed | _Noticed | _Left | _Go | Child | RendezvousError


class Agent:
    """Runs a job as one node of a run.

    The main thread takes events from one queue: signals, the end of the command, news of the
    rendezvous. All that blocks for another reason is on threads that put their results there.

    Args:
        spawned_as: the place among the nodes that ``--spawn`` started here. Such a node asks only
            when a line comes on its standard input, and leaves when that ends.
    """

    def __init__(
        self,
        handler: DynamicRendezvousHandler,
        params: RendezvousParameters,
        job: Job,
        output: Output,
        spawned_as: Place | None = None,
    ) -> None:
        self._handler = handler
        self._params = params
        self._job = job
        self._output = output
        self._board = Board(job.grace)
        self._place = spawned_as or Place()
        self._spawned = spawned_as is not None
        self._events: Inbox[_Event] = Inbox()
        self._failures = 0
        self._failed = 0
        """What the command exited with, if it has failed in the latest round."""
        self._stopping: signal.Signals | None = None
        self._draining: signal.Signals | None = None
        """The signal that had this node drain."""
        self._farewell = ""

    def run(self) -> int:
        """Take part until the work is done, or cannot be; return what to exit with."""
        # What --spawn ignores is not passed on; what reaches its nodes nevertheless is meant for them.
        with (
            events_told(self._tell),
            signals_to(self._events.put, ignored=self._spawned),
        ):
            code = self._wait_for_go() if self._spawned else None
            code = code or self._take_turns()
        # The last word: what the node's thread still notes meanwhile is nobody's business.
        self._tell("exit", self._farewell, code=int(code), node=self._handler.node_id)
        return code

    def _take_turns(self) -> int:
        while True:
            answer = self._join()
            if isinstance(answer, int):
                return answer
            outcome = self._work(answer)
            if outcome is not None:
                return outcome

    # Waiting

    def _wait_for_go(self) -> int | None:
        self._tell("ready", "is ready", node=self._handler.node_id)
        _in_background(self._read_orders)
        while True:
            event = self._events.get()
            if isinstance(event, _Go):
                return None
            if isinstance(event, signal.Signals) and event in STOPS:
                return self._exit(STOPS[event], f"ended by {event.name} before the start")

    def _read_orders(self) -> None:
        for _ in sys.stdin:
            self._events.put(_Go())
        self._events.put(signal.SIGTERM)  # whoever started this node is gone

    def _join(self) -> Seat | int:
        self._tell("asking", "asks for a place", run_id=self._params.run_id, node=self._handler.node_id)
        _in_background(self._take_part)
        with waiting_shown(self._params, self._tell):
            while True:
                event = self._events.get()
                if isinstance(event, Seat):
                    break
                if isinstance(event, RendezvousError):
                    return self._refused(event)
                if isinstance(event, signal.Signals) and event in STOPS:
                    self._stopping = event
                    return self._leave(STOPS[event], f"left on {event.name}; the run goes on")
        self._tell(
            "joined",
            f"round {event.joined.round}: rank {event.joined.rank} of {event.joined.world_size}",
            node=self._handler.node_id,
            **event.joined._asdict(),
        )
        return event

    def _take_part(self) -> None:
        """On a thread of its own: wait for a round, then for its end."""
        try:
            seat = take_seat(self._handler, self._params, self._place, lambda: self._stopping is None)
            if seat is None:
                return
            self._events.put(seat)
            _in_background(lambda: self._pass_notices(seat))
            if self._handler.wait_for_membership_change():
                self._events.put(_Changed(seat.joined))
        except RendezvousError as error:
            self._events.put(error)
        except Exception as error:
            failure = RendezvousError(f"{type(error).__name__}: {error}")
            failure.__cause__ = error
            self._events.put(failure)

    def _pass_notices(self, seat: Seat) -> None:
        notice = None
        while (notice := self._handler.wait_for_notice(than=notice)) is not None:
            self._events.put(_Noticed(seat.joined, notice))

    def _refused(self, error: RendezvousError) -> int:
        if isinstance(error, RendezvousClosedError | RendezvousGracefulExitError) and self._failed:
            text = f"{error} The command had failed and cannot be started again."
            return self._leave(status_of(self._failed), text)
        return self._leave(exit_code_of(error), str(error))

    # Working

    def _work(self, seat: Seat) -> int | None:
        """Run the command in one round; return ``None`` when it is time to meet again."""
        no_input = self._spawned or sys.stdin is None or sys.stdin.isatty()
        try:
            child = Child(
                self._job.command,
                seat.environment | self._board.open(),
                self._events.put,
                stdin=subprocess.DEVNULL if no_input else None,
                printer=self._print if self._output.takes_output else None,
                scratch=self._board.folder,
                signals_group=self._job.signals_group,
            )
        except OSError as error:
            self._board.close()
            text = f"cannot start {self._job.command[0]!r}: {error.strerror}; left the run, which goes on"
            return self._leave(ExitCode.NOT_EXECUTABLE, text)
        self._tell("started", f"started {self._job.command[0]}", pid=child.pid)
        try:
            changed = self._follow(child, seat)
        finally:
            child.close()
            self._board.close()
        code = child.exit_code
        assert code is not None, "the command has ended"
        self._tell("ended", f"the command {describe_exit(code)}", exit_code=code)
        if self._stopping is not None:
            return self._leave(STOPS[self._stopping], f"left on {self._stopping.name}; the run goes on")
        if isinstance(changed, RendezvousError):
            return self._leave(exit_code_of(changed), str(changed))
        if self._board.is_mine:
            drained = STOPS[self._draining] if self._draining else ExitCode.OK
            return self._leave(drained, "drained; the run goes on")
        if self._board.notice and code != 0:
            changed = True  # it has saved its work and ended, or those that go have left it alone
        self._failed = 0 if changed else code
        if changed:
            return None
        if code == 0:
            return self._leave(ExitCode.OK, "the work is done", done=True)
        self._failures += 1
        if self._failures > self._job.max_restarts:
            text = f"the command {describe_exit(code)}, with no restart left of {self._job.max_restarts}"
            return self._leave(status_of(code), f"{text}; left the run, which goes on")
        text = f"the command {describe_exit(code)}: restart {self._failures} of {self._job.max_restarts}"
        self._tell("restarting", text, reason="failure", exit_code=code)
        return None

    def _follow(self, child: Child, seat: Seat) -> bool | RendezvousError:
        """Wait for the end of the command; tell whether the group brought it about."""
        changed: bool | RendezvousError = False
        deadline = math.inf
        while True:
            try:
                event = self._events.get(timeout=min(deadline, self._board.signal_at) - time.monotonic())
            except queue.Empty:
                if time.monotonic() >= deadline:
                    child.kill()
                    deadline = math.inf
                else:
                    child.signal(signal.SIGTERM)
                    deadline = self._board.signal_at + self._job.grace
                    self._board.signal_at = math.inf
                continue
            if event is child:
                return changed
            if isinstance(event, signal.Signals):
                if event not in STOPS:
                    child.signal(event)
                    continue
                if event is signal.SIGTERM and self._job.drain and not (self._draining or self._stopping):
                    self._draining = event
                    self._drain(seat, self._job.drain)
                    continue
                if self._stopping is not None:
                    child.kill()  # the second one is impatient
                    continue
                self._stopping = event
                child.signal(event)
            elif isinstance(event, _Noticed):
                if event.joined is seat.joined and not self._draining:
                    self._board.post(event.notice)
                continue
            elif isinstance(event, RendezvousError):
                changed = event
                child.signal(signal.SIGTERM)
            elif isinstance(event, _Changed) and event.joined is seat.joined and child.exit_code is None:
                changed = True
                text = "the group has changed: stopping the command to meet again"
                self._tell("restarting", text, reason="membership")
                child.signal(signal.SIGTERM)
            else:
                continue  # news of a former round
            deadline = time.monotonic() + self._job.grace

    def _drain(self, seat: Seat, within: float) -> None:
        # The command is told at once, the others as soon as the backend can be reached.
        self._board.post(Notice((seat.joined.rank,), within, mine=True))
        _in_background(lambda: self._handler.drain(within))

    # The end

    def _leave(self, code: int, text: str, *, done: bool = False) -> int:
        _in_background(lambda: self._events.put(_Left(self._handler.leave(done=done))))
        while True:
            event = self._events.get()
            if isinstance(event, _Left):
                break
            if isinstance(event, signal.Signals) and event in STOPS:
                event = _Left(False)
                break
        unheard = "" if event.confirmed else " (the others could not be told and will notice its silence)"
        return self._exit(code, text + unheard)

    def _exit(self, code: int, text: str) -> int:
        self._farewell = text
        return code

    def _tell(self, event: str, text: str, **details: object) -> None:
        named = self._place.rank if self._spawned else None
        self._output.tell(event, text, local_rank=named, **details)

    def _print(self, stream: str, text: str) -> None:
        self._tell("output", text, stream=stream)


def _in_background(target: Callable[[], object]) -> None:
    threading.Thread(target=target, daemon=True).start()
