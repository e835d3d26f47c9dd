"""Finds the TCPStore of a run, or hosts it."""

import errno
import logging
import socket
import time
from datetime import timedelta
from typing import NamedTuple

from torch.distributed import TCPStore

from rendezvous_c10d._connections import head, open_client
from rendezvous_c10d._hosting import address_for, host_store
from rendezvous_c10d._locality import Verdict, locate
from rendezvous_c10d._threads import within
from rendezvous_core import RendezvousConnectionError
from rendezvous_core.ports.endpoint import Endpoint

_logger = logging.getLogger("rendezvous_c10d")


class Found(NamedTuple):
    """A store, and whether this process hosts it."""

    store: TCPStore
    hosted: bool
    everywhere: bool = False
    """Whether it is hosted here, on all interfaces."""


def find_store(
    endpoint: Endpoint, is_host: bool | None, connect_timeout: float, read_timeout: float
) -> Found:
    """Connect to the TCPStore at the endpoint, hosting it where that is this machine and nobody does yet.

    Who comes before the host, or before its name is known, retries for ``connect_timeout`` seconds. Calls
    of the store then wait ``read_timeout`` seconds for an answer.

    Raises:
        RendezvousConnectionError: no TCPStore answers there; says what each address did.
    """
    return _Search(endpoint, is_host, connect_timeout, read_timeout).run()


class _Search:
    """The attempts of one node to reach the store."""

    def __init__(
        self, endpoint: Endpoint, is_host: bool | None, connect_timeout: float, read_timeout: float
    ) -> None:
        self._endpoint = endpoint
        self._is_host = is_host
        self._timeout = timedelta(seconds=read_timeout)
        self._patience = connect_timeout
        self._deadline = time.monotonic() + connect_timeout
        self._verdict = Verdict(False, "")
        self._busy: OSError | None = None
        self._said = ""

    def run(self) -> Found:
        pause = 0.05
        while True:
            self._decide()
            if self._verdict.is_local and (found := self._host()):
                return found
            refusals = self._knock()
            if not refusals and (store := self._enter(refusals)):
                return Found(store, False)
            self._say("; ".join(refusals))
            if time.monotonic() + pause > self._deadline:
                raise self._nobody(refusals) from self._busy
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    def _decide(self) -> None:
        former = self._verdict
        if self._is_host is None:
            self._verdict = locate(self._endpoint.host)
        else:
            self._verdict = Verdict(self._is_host, f"is_host={str(self._is_host).lower()}")
        if self._verdict != former:
            _logger.info(
                "This node %s the TCPStore at %s: %s.",
                "hosts" if self._verdict.is_local else "does not host",
                self._endpoint,
                self._verdict.reason,
            )

    def _host(self) -> Found | None:
        """Host the store; ``None`` where the port is taken, maybe by another node of this machine."""
        address = address_for(self._endpoint.host)
        try:
            store = host_store(address, [self._endpoint.port], self._timeout)
        except (OSError, RuntimeError) as error:  # torch has finer classes, but not in all versions
            if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
                raise RendezvousConnectionError(
                    f"This node cannot host the TCPStore at {self._endpoint}: {head(error)}"
                ) from error
            self._busy = error
            return None
        if not address:
            _logger.info(
                "The TCPStore at %s listens on all interfaces, as '%s' may mean different ones to others: "
                "give the address of one of them as the endpoint to have it listen there alone.",
                self._endpoint,
                self._endpoint.host,
            )
        return Found(store, True, not address)

    def _say(self, why: str) -> None:
        """Tell once for each reason that this node waits."""
        if why != self._said:
            self._said = why
            _logger.info(
                "Waiting for the TCPStore at %s, for up to %.3g s more: %s",
                self._endpoint,
                max(0.0, self._deadline - time.monotonic()),
                why or "it does not let one in yet",
            )

    def _knock(self) -> list[str]:
        """Say what each address did instead of accepting a connection; nothing when one accepted."""
        try:
            found = socket.getaddrinfo(*self._endpoint, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            return [f"{self._endpoint.host}: {error}"]
        refusals = []
        for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found):
            place = Endpoint(address, self._endpoint.port)
            try:
                left = max(0.1, self._deadline - time.monotonic())
                socket.create_connection(place, min(left, 5.0)).close()
            except OSError as error:
                refusals.append(f"{place}: {error}")
            else:
                return []
        return refusals

    def _enter(self, refusals: list[str]) -> TCPStore | None:
        """Connect where somebody listens; add what went wrong to ``refusals`` if it may pass.

        Raises:
            RendezvousConnectionError: it is no TCPStore.
        """
        patience = max(1.0, self._deadline - time.monotonic())
        try:
            return within(patience, lambda: open_client(self._endpoint, self._timeout))
        except TimeoutError as error:
            raise self._no_store(f"it did not answer within {patience:.3g} s") from error
        except RuntimeError as error:
            if "Ping failed" in str(error):
                raise self._no_store(f"it answered something else ({head(error)})") from error
            refusals.append(f"{self._endpoint}: {head(error)}")
            return None

    def _no_store(self, what: str) -> RendezvousConnectionError:
        return RendezvousConnectionError(
            f"Something listens at {self._endpoint}, but it is no TCPStore, or one whose host is suspended: "
            f"{what}. Choose another port, or stop what uses this one."
        )

    def _nobody(self, refusals: list[str]) -> RendezvousConnectionError:
        if self._verdict.is_local:
            advice = "The port is taken, but not by a TCPStore that answers: choose another port."
        else:
            advice = (
                f"This node does not host it ({self._verdict.reason}): is the node that does running? "
                "If it is this one, set is_host=true."
            )
        return RendezvousConnectionError(
            f"No TCPStore could be reached at {self._endpoint} within {self._patience:g} s "
            f"(connect_timeout): {'; '.join(refusals)}. {advice}"
        )
