"""What torchrun's agent holds."""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from torch.distributed import TCPStore
from torch.distributed.elastic.events import NodeState, construct_and_record_rdzv_event
from torch.distributed.elastic.rendezvous import (
    RendezvousError,
    RendezvousGracefulExitError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousStoreInfo,
)

import rendezvous_core
from rendezvous_c10d._hosting import address_for, free_port, host_store
from rendezvous_c10d._torch_store import TorchStore
from rendezvous_c10d.torchrun.errors import as_torch_raises
from rendezvous_c10d.torchrun.exiting import RoundStore
from rendezvous_c10d.torchrun.gathering import Address, gather
from rendezvous_core.ports.calls import begin, shielded

_WORKERS_SHARE_KEYS = torch.__version__ >= (2, 6)

_STOPPING = 35.0
"""For so many seconds an agent may take to stop its workers: after 30 it kills them."""

_logger = logging.getLogger("rendezvous_c10d")


class TorchrunHandler(RendezvousHandler):
    """Serves torchrun's agent from any handler of ours.

    A round is handed out once all of its agents have confirmed it. Its workers meet at an address
    of this round alone: where ``use_agent_store`` holds, at a TCPStore that the agent of rank 0
    hosts until the next round, or the end.

    Args:
        handler: forms the rounds.
        name: the backend's name, as torchrun was given it.
        local_addr: this node's address in torch's events; found out where it is ``None``.
        close_on_failure: whether `shutdown` closes the run also when this node has failed.
        patience: seconds within which the agents of a round have to confirm it.
        ports: where workers may meet: the first that is free is taken; any by default.
    """

    def __init__(
        self,
        handler: rendezvous_core.RendezvousHandler,
        name: str,
        local_addr: str | None = None,
        close_on_failure: bool = False,
        patience: float = 600,
        ports: Sequence[int] = (0,),
    ) -> None:
        self._handler = handler
        self._name = name
        self._local_addr = local_addr
        self._close_on_failure = close_on_failure
        self._patience = patience
        self._ports = ports
        self._server: TCPStore | None = None
        self._round: RoundStore | None = None
        self._not_needed = False
        self._failed = False
        # An exception that was being handled before there was a job is not the job's.
        self._foreign_exception = sys.exception()

    def get_backend(self) -> str:
        """See base class."""
        return self._name

    def get_run_id(self) -> str:
        """See base class."""
        return self._handler.get_run_id()

    @property
    def use_agent_store(self) -> bool:
        """Whether workers connect to a TCPStore of the agent, as torch's own handler decides it.

        Not before torch 2.6, whose workers would look for each other under a prefix that counts the
        restarts of their own agent: a count that the agents of a round need not share.
        """
        return _WORKERS_SHARE_KEYS and os.getenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "0") != "1"

    def next_rendezvous(self) -> RendezvousInfo:
        """See base class.

        A spare that is not needed when the run ends, and a node that drains, raise ``SystemExit(0)``: the
        agent would take the exception that torch has for it (`RendezvousGracefulExitError`) for a crash.
        """
        name = "next_rendezvous"
        self._failed = False
        self._record(name, f"This node attempts to join the next round of the run '{self.get_run_id()}'.")
        try:
            with self._recorded(name):
                info = self._form_aside()
        except RendezvousGracefulExitError as error:
            # Of a run that goes on without this node nothing is closed.
            self._not_needed = self.is_closed()
            self._record(name, str(error), NodeState.SUCCEEDED)
            _logger.warning("%s", error)
            raise SystemExit(0) from error
        self._record(name, f"This node has joined as rank {info.rank} of {info.world_size}.", rank=info.rank)
        return info

    def is_closed(self) -> bool:
        """See base class."""
        with self._recorded("is_closed"):
            return self._handler.is_closed()

    def set_closed(self) -> None:
        """See base class."""
        with self._recorded("set_closed"):
            self._handler.set_closed()

    def num_nodes_waiting(self) -> int:
        """See base class. Above zero also when a participant was lost, exactly until the next round.

        And when this node is to go so soon that its agent has to stop the workers: torchrun gives them time.
        """
        with self._recorded("num_nodes_waiting"):
            notice = self._handler.notice()
            goes = notice is not None and notice.mine and notice.seconds <= _STOPPING
            return self._handler.num_nodes_waiting() or int(goes)

    def shutdown(self) -> bool:
        """Close the run, or where this node has failed, leave it to the others; see `create_handler`.

        torchrun calls it at its end in either case; it has failed when an exception is on its way, or
        when it was stopping its workers. Where others have gone on to another round, while this node has
        finished its part of the one before, the run is theirs. Returns whether the others could be told.
        """
        exception = sys.exception()
        raised = exception is not None and exception is not self._foreign_exception
        # Up to torch 2.7 it also calls before there is an exception, and again afterwards.
        self._failed = self._failed or raised or _is_called_by("_stop_workers")
        leaves = self._others_went_on or (self._failed and not (self._close_on_failure or self._not_needed))
        told = False
        try:
            with self._recorded("shutdown"):
                told = shielded(self._leave if leaves else self._close)
        except RendezvousError as error:
            # Raised here, it would hide why this node has failed.
            _logger.warning("%s", error)
        self._server = None
        why = "failed" if self._failed else "finished"
        did = f"left to the others by this node, which has {why}" if leaves else "closed by this node"
        message = f"The run '{self.get_run_id()}' {'is' if told else 'could not be'} {did}."
        if not told:
            _logger.warning(message)
        self._record("shutdown", message, NodeState.SUCCEEDED if told else NodeState.FAILED)
        return told

    def _form_aside(self) -> RendezvousInfo:
        """Form a round on another thread; when torchrun's signal handlers raise meanwhile, leave it."""
        over = False

        def form() -> RendezvousInfo:
            nonlocal over
            try:
                return self._form()
            finally:
                over = True

        try:
            return shielded(form)
        except BaseException:
            if not over:
                begin(self._leave_quietly)
            raise

    def _form(self) -> RendezvousInfo:
        while True:
            begin(lambda: self._tell_gone(goes_on=True))
            info = self._handler.next_rendezvous()
            self._server = None  # a round forms only when the workers of the former one are gone
            try:
                address = gather(
                    info, self._host, lambda: self._handler.num_nodes_waiting() > 0, self._patience
                )
            except BaseException:
                self._leave()
                raise
            if address is not None:
                self._round = RoundStore(
                    info.store, info.world_size, lambda: self._handler.num_nodes_waiting() > 0
                )
                store = TorchStore(self._round)
                return RendezvousInfo(store, info.rank, info.world_size, RendezvousStoreInfo(*address))

    def _host(self, info: rendezvous_core.RendezvousInfo) -> Address:
        own = info.bootstrap_store_info
        # A launcher that gives ranks has given the port too.
        is_static = self._handler.get_backend() == "static"
        ports = [own.master_port] if is_static else self._ports
        try:
            host = address_for(own.master_addr)
            if self.use_agent_store:
                self._server = host_store(host, ports)
                return Address(own.master_addr, self._server.port)
            if 0 not in ports:
                return Address(own.master_addr, free_port(host, ports))
        except OSError as error:
            raise self._no_port(own.master_addr, is_static, error) from error
        return Address(own.master_addr, own.master_port)

    def _no_port(self, host: str, is_static: bool, error: OSError) -> rendezvous_core.RendezvousError:
        if error.errno != errno.EADDRINUSE:
            return rendezvous_core.RendezvousError(
                f"This node cannot host the store of its workers at its address '{host}': {error}. Give "
                "one of its addresses as --local-addr."
            )
        given = "the endpoint" if is_static else "the option 'master_port'"
        tried = str(error) if is_static or len(self._ports) == 1 else f"{self._ports[0]}-{self._ports[-1]}"
        return rendezvous_core.RendezvousError(
            f"No port that {given} names for the store of the workers is free at '{host}' ({tried}): stop "
            f"what uses it{'' if is_static else ', or name more ports, as in master_port=29500-29599'}."
        )

    def _leave(self) -> bool:
        told = self._handler.leave(done=self._others_went_on)
        if told:
            self._tell_gone(goes_on=False)
        return told

    def _leave_quietly(self) -> None:
        with suppress(rendezvous_core.RendezvousError):
            self._leave()

    @property
    def _others_went_on(self) -> bool:
        return self._round is not None and self._round.others_went_on

    def _close(self) -> bool:
        if self._failed:
            self._tell_gone(goes_on=False)
        return self._handler.shutdown()

    def _tell_gone(self, *, goes_on: bool) -> None:
        """Tell those who may wait at the exit barrier of the present round; they find out later otherwise."""
        round_store = self._round
        if round_store is not None:
            with suppress(rendezvous_core.RendezvousError):
                round_store.tell_gone(goes_on=goes_on)

    @contextmanager
    def _recorded(self, method: str) -> Iterator[None]:
        """Raise torch's errors instead of ours, and record them with torch."""
        try:
            with as_torch_raises():
                yield
        except RendezvousGracefulExitError:
            raise
        except Exception as error:
            self._record(method, f"{type(error).__name__}: {error}", NodeState.FAILED)
            raise

    def _record(
        self, method: str, message: str, state: NodeState = NodeState.RUNNING, rank: int | None = None
    ) -> None:
        construct_and_record_rdzv_event(
            name=f"{type(self).__name__}.{method}",
            run_id=self.get_run_id(),
            message=message,
            node_state=state,
            hostname=self._local_addr or "",
            rank=rank,
        )


def _is_called_by(function: str) -> bool:
    return any(frame.f_code.co_name == function for frame, _ in traceback.walk_stack(None))
