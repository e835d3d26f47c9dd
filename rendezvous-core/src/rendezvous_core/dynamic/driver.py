"""The doors through which user threads reach a node."""

from collections.abc import Mapping
from typing import Any

from rendezvous_core.dynamic.thread import NodeThread
from rendezvous_core.dynamic.wishes import Ask, Errand, Query, Quit, Stop
from rendezvous_core.ports.errors import (
    RendezvousConnectionError,
    RendezvousError,
)
from rendezvous_core.protocol.operations import List, Operation, Read
from rendezvous_core.records.member import Intent, Member
from rendezvous_core.records.state import State


class Driver(NodeThread):
    """A node, its thread, and what a handler may ask of them.

    The thread holds the driver but not the handler, so that a handler which is dropped is noticed.
    """

    def ask(self, ask: Ask, deadline: float) -> bool:
        """Have the node ask; whether there is an answer before ``deadline``."""
        self.send(ask)
        return self.wait(lambda: ask.is_answered, deadline)

    def cancel(self, ask: Ask, deadline: float) -> bool:
        """Withdraw ``ask`` unless it has won a place; whether it is answered before ``deadline``."""
        self.send(Quit("cancel", ask))
        return self.wait(lambda: ask.is_answered, deadline)

    def quit(self, intent: Intent, deadline: float) -> bool:
        """Withdraw the node; whether that is confirmed before ``deadline``. It goes on after that."""
        self.check_process()
        if not self.is_running and self._inbox.empty():
            return True  # there is no business to withdraw from
        wish = Quit(intent)
        self.send(wish)
        return self.wait(lambda: wish.is_answered, deadline) and bool(wish.answer)

    def withdraw(self, ask: Ask) -> None:
        """Undo ``ask`` and what it led to, without waiting for that."""
        ask.is_void = True
        if self.is_running:
            self.send(Quit("leave", ask))

    def close_run(self, deadline: float) -> None:
        """Close the run.

        Raises:
            RendezvousConnectionError: the backend could not be reached in time.
            RendezvousTimeoutError: other nodes' writes won every time.
        """
        self._run_errand(Errand(self.node.close, deadline, insists=True))

    def drain(self, until: Mapping[str, float], deadline: float) -> None:
        """Tell all that nodes are to go at times of `read_clock`; raises as `close_run`."""
        self._run_errand(Errand(lambda: self.node.drain(until), deadline, insists=True))

    def read_state(self, deadline: float) -> State | None:
        """Read the state, without taking part in the run."""
        reply = self._run_errand(Errand(lambda: _once(Read()), deadline))
        return reply[0] if reply else None

    def members(self, deadline: float) -> dict[str, Member]:
        """List the members."""
        listed: dict[str, Member] = self._run_errand(Errand(lambda: _once(List()), deadline))[0]
        return listed

    def stop(self, deadline: float, *, close_backend: bool = False) -> None:
        """End the thread without telling anybody, waiting for that until ``deadline``."""
        if self.is_running or close_backend:
            wish = Stop(close_backend=close_backend)
            self.send(wish)
            self.wait(lambda: wish.is_answered, deadline)

    def abandon(self) -> None:
        """Have the node leave; to be called by a garbage collector, which may do it anywhere."""
        self._inbox.put(Quit("leave"))

    def _run_errand(self, errand: Errand) -> Any:
        try:
            self.send(errand)
            if not self.wait(lambda: errand.is_answered, errand.deadline):
                raise RendezvousConnectionError("The backend did not answer in time.") from self.trouble
        except BaseException:
            errand.is_void = True
            raise
        if isinstance(errand.answer, RendezvousError):
            raise errand.answer
        return errand.answer


def _once(operation: Operation) -> Query:
    return (yield operation)
