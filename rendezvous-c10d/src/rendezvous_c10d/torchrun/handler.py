"""What torchrun's agent holds."""

import logging
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from torch.distributed import TCPStore
from torch.distributed.elastic.events import NodeState, construct_and_record_rdzv_event
from torch.distributed.elastic.rendezvous import (
    RendezvousGracefulExitError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousStoreInfo,
)

import rendezvous_core
from rendezvous_c10d._threads import start
from rendezvous_c10d._torch_store import TorchStore
from rendezvous_c10d.torchrun.errors import as_torch_raises
from rendezvous_c10d.torchrun.gathering import Address, gather

T = TypeVar("T")

_logger = logging.getLogger("rendezvous_c10d")


class TorchrunHandler(RendezvousHandler):
    """Serves torchrun's agent from any handler of ours.

    A round is handed out once all of its agents have confirmed it. Its workers meet at an address
    of this round alone: where ``use_agent_store`` holds, at a TCPStore that the agent of rank 0
    hosts until the next round, or the end.

    Args:
        handler: forms the rounds.
        name: the backend's name, as torchrun was given it.
        close_on_failure: whether `shutdown` closes the run also when this node has failed.
        patience: seconds within which the agents of a round have to confirm it.
    """

    def __init__(
        self, handler: rendezvous_core.RendezvousHandler, name: str, close_on_failure: bool, patience: float
    ) -> None:
        self._handler = handler
        self._name = name
        self._close_on_failure = close_on_failure
        self._patience = patience
        self._server: TCPStore | None = None
        self._not_needed = False
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
        """Whether workers connect to a TCPStore of the agent, as torch's own handler decides it."""
        return os.getenv("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "0") != "1"

    def next_rendezvous(self) -> RendezvousInfo:
        """See base class.

        A spare that is not needed when the run ends raises ``SystemExit(0)``: the agent would take
        the exception that torch has for it (`RendezvousGracefulExitError`) for a crash.
        """
        self._record(f"Node attempts to join the next round of the rendezvous '{self.get_run_id()}'.")
        try:
            info = self._call(self._form, interrupted=self._leave)
        except RendezvousGracefulExitError as error:
            self._not_needed = True
            self._record(str(error), NodeState.SUCCEEDED)
            _logger.warning("%s", error)
            raise SystemExit(0) from error
        self._record(f"Node has joined as rank {info.rank} of {info.world_size}.", rank=info.rank)
        return info

    def is_closed(self) -> bool:
        """See base class."""
        return self._call(self._handler.is_closed)

    def set_closed(self) -> None:
        """See base class."""
        self._call(self._handler.set_closed)

    def num_nodes_waiting(self) -> int:
        """See base class. Above zero also when a participant was lost, exactly until the next round."""
        with as_torch_raises():
            return self._handler.num_nodes_waiting()

    def shutdown(self) -> bool:
        """Close the run, or where this node has failed, leave it to the others; see `create_handler`.

        torchrun calls it at its end in either case; it has failed when an exception is on its way.
        Returns whether the others could be told.
        """
        failure = sys.exception()
        failed = failure is not None and failure is not self._foreign_exception
        leaves = failed and not (self._close_on_failure or self._not_needed)
        told = self._call(self._leave if leaves else self._handler.shutdown)
        self._server = None
        if leaves:
            message = f"Node has left the rendezvous '{self.get_run_id()}' to the others, as it has failed."
        else:
            message = f"Node has closed the rendezvous '{self.get_run_id()}'."
        if not told:
            message += " The others could not be told."
            _logger.warning(message)
        self._record(message, NodeState.SUCCEEDED)
        return told

    def _form(self) -> RendezvousInfo:
        while True:
            info = self._handler.next_rendezvous()
            server: list[TCPStore] = []

            def host(info: rendezvous_core.RendezvousInfo = info, server: list[TCPStore] = server) -> Address:
                own = info.bootstrap_store_info
                if not self.use_agent_store:
                    return Address(own.master_addr, own.master_port)
                server.append(_host_store())
                return Address(own.master_addr, server[0].port)

            try:
                address = gather(info, host, lambda: self._handler.num_nodes_waiting() > 0, self._patience)
            except BaseException:
                self._leave()
                raise
            # Only now no worker of the former round is left that would need the former store.
            self._server = server[0] if server else None
            if address is not None:
                return RendezvousInfo(
                    TorchStore(info.store), info.rank, info.world_size, RendezvousStoreInfo(*address)
                )

    def _leave(self) -> bool:
        leave: Callable[[], bool] = getattr(self._handler, "leave", self._handler.shutdown)
        return leave()

    def _call(self, call: Callable[[], T], interrupted: Callable[[], object] | None = None) -> T:
        """Make ``call``, and wait for it so that signals get through; then have it ``interrupted``."""
        future = start(call)
        try:
            with as_torch_raises():
                return future.result()
        except BaseException as error:
            if not future.done() and interrupted:
                start(interrupted)
            elif isinstance(error, Exception):
                self._record(f"{type(error).__name__}: {error}", NodeState.FAILED)
            raise

    def _record(self, message: str, state: NodeState = NodeState.RUNNING, rank: int | None = None) -> None:
        construct_and_record_rdzv_event(
            run_id=self.get_run_id(), message=message, node_state=state, name=type(self).__name__, rank=rank
        )


def _host_store() -> TCPStore:
    """Host a store on a free port of all interfaces."""
    return TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
