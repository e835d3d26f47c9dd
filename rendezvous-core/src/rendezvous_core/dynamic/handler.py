"""The handler that users hold."""

import functools
import logging
import os
import socket
import sys
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Literal

from msgspec.structs import replace

from rendezvous_core.dynamic.clock import read_clock
from rendezvous_core.dynamic.driver import Driver
from rendezvous_core.dynamic.history import Recorder, history_store
from rendezvous_core.dynamic.launchers import find_rank_hint
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.dynamic.reporting import Reporter, describe_asks, report_waiting
from rendezvous_core.dynamic.round_store import forget_past_rounds, store_prefix
from rendezvous_core.dynamic.wishes import Ask
from rendezvous_core.over_register.backend import RegisterBackend
from rendezvous_core.over_store.prefix_store import view
from rendezvous_core.plugins.loading import adapt_store, assign_ranks, load_plugins
from rendezvous_core.ports.addresses import address_towards
from rendezvous_core.ports.backend import MembershipBackend, RendezvousBackend
from rendezvous_core.ports.calls import shielded
from rendezvous_core.ports.errors import (
    RendezvousConnectionError,
    RendezvousError,
    RendezvousTimeoutError,
)
from rendezvous_core.ports.handler import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo
from rendezvous_core.ports.limits import DAY, check_address, check_metadata, check_seconds
from rendezvous_core.ports.notice import Notice
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import (
    ADMIT_NEWCOMERS,
    KEEP_ALIVE_INTERVAL,
    KEEP_ALIVE_MAX_ATTEMPT,
    LAST_CALL,
    METADATA,
    NO_ID,
    NODES_MULTIPLE_OF,
    RANK_HINT,
    REOPEN,
    SEAL_STORE,
    AdmitNewcomers,
    LastCall,
    RendezvousSettings,
    RendezvousTimeout,
)
from rendezvous_core.ports.store import Store, seconds
from rendezvous_core.protocol.node import Joined, Node
from rendezvous_core.protocol.operations import Timing
from rendezvous_core.protocol.ranks import rank
from rendezvous_core.protocol.records import Member, Settings
from rendezvous_core.sealing.backend import SealedBackend, seal_backend
from rendezvous_core.sealing.keys import Keyring, find_keyring, keyring_of
from rendezvous_core.sealing.store import sealed_store

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
        sealed = _sealed(backend, keyring, run_id)
        return cls(settings, store, sealed, local_addr, metadata, rank_hint, reopen=reopen)

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
        self._backend = _with_members(backend)
        self._address = check_address(local_addr) or address_towards(self._backend.hosts).address
        self._was_closed: bool | None = None

        timing = Timing(
            settings.keep_alive_interval.total_seconds(),
            settings.keep_alive_max_attempt,
            settings.timeout.last_call.total_seconds(),
        )
        agreed = Settings(
            settings.min_nodes,
            settings.max_nodes,
            settings.nodes_multiple_of,
            settings.last_call,
            settings.admit_newcomers,
        )
        self._least = agreed.least
        member = Member(
            node=uuid.uuid4().hex,
            address=self._address,
            host=socket.gethostname(),
            pid=os.getpid(),
            dead_after=timing.dead_after,
            rank_hint=None if rank_hint is None else RANK_HINT.check(rank_hint),
            metadata=check_metadata({} if metadata is None else metadata),
        )
        node = Node(
            member,
            settings.run_id,
            agreed,
            timing,
            lambda: uuid.uuid4().hex,
            _rank,
            reopens=reopen or settings.run_id == NO_ID,
            has_id=settings.run_id != NO_ID,
        )
        performer = Performer(self._backend, settings.timeout.heartbeat.total_seconds())
        recorder = Recorder(history_store(self._store, self._backend, settings.run_id), settings.run_id)
        self._driver = Driver(node, performer, Reporter(settings.run_id, recorder))
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
            return self._hand_out(self._join(ask, deadline), deadline)
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
        shielded(lambda: report_waiting(driver.node, settings.run_id, text), deadline)

    def _describe_asks(self, deadline: float) -> str:
        driver = self._driver
        listed = driver.members(deadline)
        me = replace(
            driver.node.member, at=time.time()
        )  # has asked, though a slow backend may not have it yet
        return describe_asks(driver.state, {me.node: me, **listed}.values(), self._least)

    def _late(self, ask: Ask, deadline: float) -> Joined | RendezvousError:
        """Give up on ``ask``, which is a write like any other: the node may turn out to be ranked already."""
        late = self._timed_out(deadline)
        self._driver.cancel(ask, deadline)
        return ask.answer or late

    def _hand_out(self, joined: Joined, deadline: float) -> RendezvousInfo:
        store = view(store_prefix(self._settings.run_id, joined), self._store)
        bootstrap = functools.partial(RendezvousStoreInfo.build, joined.rank, store, self._address)
        if joined.rank != 0:
            return RendezvousInfo(store, joined.rank, joined.world_size, bootstrap)
        # Rank 0 has to publish now, the others may look it up when they need it.
        deadline = max(deadline, time.monotonic() + self._patience)
        shielded(lambda: forget_past_rounds(self._store, self._settings.run_id, joined), deadline)
        return RendezvousInfo(
            store, joined.rank, joined.world_size, self._persist(bootstrap, joined, deadline)
        )

    def _persist(
        self, publish: Callable[[], RendezvousStoreInfo], joined: Joined, deadline: float
    ) -> RendezvousStoreInfo:
        pause = 0.01
        while True:
            try:
                return shielded(publish, deadline)
            except RendezvousConnectionError:
                # Who has left meanwhile, or was shut down, need not tell anybody.
                if time.monotonic() + pause > deadline or self._driver.view.is_over(joined):
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

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
        deadline = float("inf") if timeout is None else time.monotonic() + seconds(timeout)
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
        deadline = float("inf") if timeout is None else time.monotonic() + seconds(timeout)
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


def create_handler(
    store: Store, backend: RendezvousBackend, params: RendezvousParameters
) -> DynamicRendezvousHandler:
    """Create a handler from ``params``.

    Reads the options of `HANDLER_OPTIONS`; without ``rank_hint``, what the launcher says of the node.

    Raises:
        ValueError: an option is none that it may be; names it and its range.
    """
    hint = RANK_HINT.read(params)
    keyring = find_keyring(params)
    if SEAL_STORE.read(params):
        store = sealed_store(adapt_store(store), keyring, params.run_id)
    return DynamicRendezvousHandler.from_backend(
        params.run_id,
        store,
        _sealed(backend, keyring, params.run_id),
        params.min_nodes,
        params.max_nodes,
        params.local_addr,
        RendezvousTimeout.from_params(params),
        KEEP_ALIVE_INTERVAL.read(params),
        KEEP_ALIVE_MAX_ATTEMPT.read(params),
        METADATA.read(params),
        last_call=LAST_CALL.read(params),
        admit_newcomers=ADMIT_NEWCOMERS.read(params),
        nodes_multiple_of=NODES_MULTIPLE_OF.read(params),
        rank_hint=find_rank_hint(os.environ, sys.argv) if hint is None else hint,
        reopen=REOPEN.read(params),
    )


def _with_members(backend: RendezvousBackend) -> MembershipBackend:
    return backend if isinstance(backend, MembershipBackend) else RegisterBackend(backend)


def _sealed(backend: RendezvousBackend, keyring: Keyring | None, run_id: str) -> RendezvousBackend:
    return backend if keyring is None else seal_backend(_with_members(backend), keyring, run_id)


def _rank(members: Sequence[Member], previous: Sequence[str]) -> Sequence[str]:
    return assign_ranks(members, previous) or rank(members, previous)
