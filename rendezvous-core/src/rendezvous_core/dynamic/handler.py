"""The handler that users hold."""

import logging
import math
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from msgspec.structs import replace

from rendezvous_core.dynamic.assembly import agreed, make_driver, sealed
from rendezvous_core.dynamic.clock import read_clock
from rendezvous_core.dynamic.reporting import describe_asks, report_waiting
from rendezvous_core.dynamic.round_store import hand_out
from rendezvous_core.dynamic.wishes import Ask
from rendezvous_core.over_register.backend import with_members
from rendezvous_core.plugins.loading import adapt_store, load_plugins
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.backend import RendezvousBackend
from rendezvous_core.ports.calls import NoAnswerError, shielded
from rendezvous_core.ports.errors import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.handler import RendezvousHandler, RendezvousInfo
from rendezvous_core.ports.limits import DAY, check_address, check_seconds
from rendezvous_core.ports.notice import Notice
from rendezvous_core.ports.settings import (
    KEEP_ALIVE_INTERVAL,
    AdmitNewcomers,
    LastCall,
    RendezvousSettings,
    RendezvousTimeout,
)
from rendezvous_core.ports.store import Store, seconds
from rendezvous_core.protocol.node import Joined
from rendezvous_core.sealing.backend import SealedBackend
from rendezvous_core.sealing.keys import keyring_of

_logger = logging.getLogger("rendezvous_core")

_SILENCE = 10.0
"""Seconds after which the log says what a node waits for."""

_LISTED = 256
"""The largest group that is listed for that, as every node of it does so."""


class DynamicRendezvousHandler(RendezvousHandler):
    """Forms rounds over any backend; create it with `from_backend` or `create_handler`.

    The handler owns its backend and closes it in `shutdown`. One background thread keeps the node
    alive in the run, from `next_rendezvous` until the node leaves; it ends too when the handler is
    garbage-collected, or when the interpreter exits, and the node then leaves its round.
    """

    @classmethod
    def from_backend(
        cls,
        run_id: str,
        store: Store,
        backend: RendezvousBackend,
        min_nodes: int,
        max_nodes: int,
        local_addr: str | None = None,
        timeout: RendezvousTimeout | None = None,
        keep_alive_interval: float = 5,
        keep_alive_max_attempt: int = 3,
        metadata: Mapping[str, str] | None = None,
        *,
        last_call: LastCall = "expected",
        admit_newcomers: AdmitNewcomers = "at_once",
        nodes_multiple_of: int = 1,
        rank_hint: int | None = None,
        secret: str | None = None,
        secret_file: str | None = None,
        reopen: bool = False,
    ) -> "DynamicRendezvousHandler":
        """Create a handler; the same arguments as torch's up to ``keep_alive_max_attempt``, and ours.

        Args:
            run_id: the id of the run.
            store: what `next_rendezvous` hands out, under a prefix of the round.
            backend: a `MembershipBackend`, or one with only the three methods of a register.
            min_nodes: the least number of nodes of a round.
            max_nodes: the greatest number of nodes of a round.
            local_addr: where others reach this node; by default the address of the interface that leads to
                the backend.
            timeout: the timeouts; torch's defaults where not given.
            keep_alive_interval: seconds between two heartbeats.
            keep_alive_max_attempt: a node is dead after so many intervals without a heartbeat.
            metadata: what rank policies may know of this node; by ``place``, such as
                ``zone1/rack7/host3``, neighbours stand side by side.
            last_call: ``expected``: survivors of a round are together again as soon as all have asked;
                ``wait``: they too wait for others until last call is over.
            admit_newcomers: when newcomers call a running round to the next one: ``at_once``, after
                having gathered for a number of seconds, or not by themselves (``next_round``).
            nodes_multiple_of: a world size is a multiple of it; who is left over is a spare.
            rank_hint: where this node would like to stand among newcomers.
            secret: seals what the run keeps in the backend; by default that of the environment, if any.
            secret_file: the file that holds it.
            reopen: whether to begin the run anew if it is closed when this node comes.

        Raises:
            ValueError: a setting is impossible; names it.
        """
        keyring = None if isinstance(backend, SealedBackend) else keyring_of(secret, secret_file)
        settings = RendezvousSettings(
            run_id,
            min_nodes,
            max_nodes,
            RendezvousTimeout() if timeout is None else timeout,
            timedelta(seconds=KEEP_ALIVE_INTERVAL.check(keep_alive_interval)),
            keep_alive_max_attempt,
            last_call,
            admit_newcomers,
            nodes_multiple_of,
        )
        return cls(
            settings, store, sealed(backend, keyring, run_id), local_addr, metadata, rank_hint, reopen=reopen
        )

    def __init__(
        self,
        settings: RendezvousSettings,
        store: Store,
        backend: RendezvousBackend,
        local_addr: str | None = None,
        metadata: Mapping[str, str] | None = None,
        rank_hint: int | None = None,
        *,
        reopen: bool = False,
    ) -> None:
        load_plugins()
        self._settings = settings
        self._store = adapt_store(store)
        self._backend = with_members(backend)
        self._address = check_address(local_addr) or address_towards(self._backend.hosts).address
        self._was_closed: bool | None = None

        self._driver = make_driver(
            settings, self._store, self._backend, self._address, metadata, rank_hint, reopen=reopen
        )
        # At exit all drivers leave together; see the driver.
        weakref.finalize(self, self._driver.abandon).atexit = False

    @property
    def settings(self) -> RendezvousSettings:
        """The settings of the rendezvous."""
        return self._settings

    @property
    def node_id(self) -> str:
        """The id under which this node appears in events and in ``rdzv status``."""
        return self._driver.node.member.node

    @property
    def address(self) -> str:
        """Where the others reach this node."""
        return self._address

    def get_backend(self) -> str:
        """See base class."""
        return self._backend.name

    def get_run_id(self) -> str:
        """See base class."""
        return self._settings.run_id

    def next_rendezvous(self) -> RendezvousInfo:
        """See base class. When it raises, whatever that is, the node has withdrawn and will not be ranked.

        Where a signal handler raised before the ask began, the node is where it was.
        """
        ask = Ask()
        try:
            deadline = self._deadline("join")
            joined = self._join(ask, deadline)
            return hand_out(
                self._settings.run_id,
                self._store,
                joined,
                self._address,
                lambda: self._driver.view.is_over(joined),
                # Rank 0 has to publish now, the others may look it up when they need it.
                max(deadline, time.monotonic() + self._patience),
            )
        except BaseException:
            self._driver.withdraw(ask)
            raise

    def _join(self, ask: Ask, deadline: float) -> Joined:
        driver = self._driver
        silent_until = min(deadline, time.monotonic() + _SILENCE)
        is_answered = driver.ask(ask, silent_until)
        if not is_answered and silent_until < deadline:
            self._tell_waiting(silent_until + self._patience)
            is_answered = driver.wait(lambda: ask.is_answered, deadline)
        outcome = ask.answer if is_answered else self._late(ask, deadline + self._patience)
        if outcome is None:
            raise RendezvousError("This node has left the rendezvous while it was waiting in it.")
        if isinstance(outcome, RendezvousError):
            raise outcome
        joined: Joined = outcome
        return joined

    def _tell_waiting(self, deadline: float) -> None:
        """Say once what a program waits for whose log is all that people see of it."""
        driver, settings = self._driver, self._settings
        if driver.trouble is not None:
            return  # of which an event tells
        try:
            asks = (
                self._describe_asks(deadline) if settings.max_nodes <= _LISTED else "'rdzv status' shows who"
            )
        except RendezvousError:
            return
        state = driver.state
        text = f"has waited {_SILENCE:g} s for the others: {asks}"
        if state is not None and state.phase == "complete":
            text += f"; round {state.round} goes on meanwhile"
        with suppress(NoAnswerError):  # who listens may be slow: that is no reason not to wait
            shielded(lambda: report_waiting(driver.node, settings.run_id, text), deadline)

    def _describe_asks(self, deadline: float) -> str:
        driver = self._driver
        listed = driver.members(deadline)
        # This node has asked, though a slow backend may not have it yet.
        me = replace(driver.node.member, at=time.time())
        return describe_asks(driver.state, {me.node: me, **listed}.values(), agreed(self._settings).least)

    def _late(self, ask: Ask, deadline: float) -> Joined | RendezvousError:
        """Give up on ``ask``, which is a write like any other: the node may turn out to be ranked already."""
        late = self._timed_out(deadline)
        self._driver.cancel(ask, deadline)
        return ask.answer or late

    def _timed_out(self, deadline: float) -> RendezvousError:
        head = (
            f"The rendezvous '{self._settings.run_id}' did not complete within "
            f"{self._settings.timeout.join.total_seconds():g} s on the backend '{self._backend.name}'"
            + (f" at {place}" if (place := self._backend.place) else "")
        )
        driver = self._driver
        try:
            if driver.trouble is not None:
                raise driver.trouble
            asks = self._describe_asks(deadline)
        except RendezvousError as trouble:
            error = RendezvousConnectionError(f"{head}, which cannot be reached: {trouble}")
            error.__cause__ = trouble
            return error
        return RendezvousTimeoutError(f"{head}: {asks}.")

    def is_closed(self) -> bool:
        """See base class. Asks the backend only while the node takes no part in the run."""
        driver = self._driver
        driver.check_process()
        if self._was_closed:
            return True
        if not driver.view.finished:
            return driver.view.is_closed
        state = driver.read_state(self._deadline("close"))
        return state is not None and state.phase == "closed"

    def set_closed(self) -> None:
        """See base class.

        Raises:
            RendezvousConnectionError: the backend could not be reached within the close timeout.
        """
        self._driver.close_run(self._deadline("close"))

    def num_nodes_waiting(self) -> int:
        """See base class. Tells what the background thread was last told: no round trip."""
        self._driver.check_process()
        return self._driver.view.nodes_waiting

    @property
    def joined(self) -> Joined | None:
        """The round that the latest `next_rendezvous` returned from; ``None`` while it is under way."""
        self._driver.check_process()
        return self._driver.view.joined

    def wait_for_membership_change(self, timeout: float | None = None) -> bool:
        """Block until `num_nodes_waiting` is above zero, at most ``timeout`` seconds; ``None``: forever.

        Returns ``False`` when the time ran out, and when this node itself ended its part in the round
        meanwhile, with `next_rendezvous` or `leave`.

        Raises:
            RendezvousError: nothing watches any more, as the background thread has failed.
        """
        driver = self._driver
        driver.check_process()
        joined = driver.view.joined
        deadline = _deadline_of(timeout)
        driver.wait(lambda: driver.view.is_over(joined) or driver.view.nodes_waiting > 0, deadline)
        now = driver.view
        if now.joined is joined and isinstance(now.outcome, RendezvousError):
            raise now.outcome
        return now.nodes_waiting > 0 and not now.is_over(joined)

    def leave(self, *, done: bool = False) -> bool:
        """Withdraw this node without closing the run; it may ask again later.

        With ``done`` the node's work in the round is finished, and the others are not called to a
        new round on its account; once all participants are done the run closes.
        Returns ``False`` if the others could not be told within the close timeout: the node goes on
        trying in the background, until they must have found it silent.
        """
        return self._driver.quit("done" if done else "leave", self._deadline("close"))

    def drain(self, deadline: float, nodes: Iterable[str] | None = None) -> bool:
        """See base class. Tries for as long as the close timeout."""
        until = read_clock() + check_seconds("The deadline", deadline, most=DAY)
        if nodes is None:
            self._driver.check_process()
            if self._driver.view.finished:
                return True  # it has no part in the run
        those = [self.node_id] if nodes is None else list(nodes)
        try:
            self._driver.drain(dict.fromkeys(those, until), self._deadline("close"))
        except RendezvousError as error:
            _logger.warning("The others could not be told that %s will go: %s", ", ".join(those), error)
            return False
        return True

    def notice(self) -> Notice | None:
        """See base class."""
        self._driver.check_process()
        view = self._driver.view
        if not view.leaving or view.joined is None:
            return None
        left = max(0.0, min(view.leaving.values()) - read_clock())
        return Notice(tuple(sorted(view.leaving)), left, view.joined.rank in view.leaving)

    def wait_for_notice(self, timeout: float | None = None, than: Notice | None = None) -> Notice | None:
        """Block until others are to go ``than`` by a former notice, or the node's part in the round is over.

        Returns what `notice` says then; waits at most ``timeout`` seconds, ``None``: forever.
        """
        driver = self._driver
        driver.check_process()
        joined, known = driver.view.joined, than.ranks if than else ()
        deadline = _deadline_of(timeout)
        driver.wait(
            lambda: driver.view.is_over(joined) or tuple(sorted(driver.view.leaving)) != known, deadline
        )
        return None if driver.view.is_over(joined) else self.notice()

    def shutdown(self) -> bool:
        """See base class. Nodes of the present round may finish their work."""
        self._driver.check_process()
        if self._was_closed is None:
            deadline = self._deadline("close")
            try:
                self._driver.close_run(deadline)
                closed = True
            except RendezvousError:
                closed = self._driver.view.is_closed  # where a signal handler was faster
            self._driver.stop(deadline, close_backend=True)
            self._was_closed = closed
        return self._was_closed

    def _release(self) -> None:
        self._was_closed = self._was_closed or False
        self._driver.stop(time.monotonic() + self._patience, close_backend=True)

    def __repr__(self) -> str:
        joined = self._driver.view.joined
        place = (
            f"rank {joined.rank} of {joined.world_size} in round {joined.round}" if joined else "in no round"
        )
        return f"{super().__repr__()[:-1]}: {place}>"

    def _deadline(self, name: Literal["join", "close"]) -> float:
        timeout: timedelta = getattr(self._settings.timeout, name)
        return time.monotonic() + timeout.total_seconds()

    @property
    def _patience(self) -> float:
        """For how much longer than its limit a call may go on, to see its end through."""
        timeout = self._settings.timeout
        return min(timeout.heartbeat, timeout.close).total_seconds()


def _deadline_of(timeout: float | None) -> float:
    return math.inf if timeout is None else time.monotonic() + seconds(timeout)
