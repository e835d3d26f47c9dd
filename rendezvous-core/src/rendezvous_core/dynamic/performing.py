"""Performs a node's operations against a real backend, whatever that backend raises."""

import logging
import time
from typing import Any

from msgspec.structs import replace

from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.ports.backend import MembershipBackend
from rendezvous_core.ports.errors import RendezvousConnectionError, RendezvousError, RendezvousStateError
from rendezvous_core.protocol.operations import (
    Drop,
    Fetch,
    File,
    List,
    Operation,
    Put,
    Read,
    Remove,
    Token,
    Wait,
    Write,
)
from rendezvous_core.records.codec import decode_member, decode_state, encode_member, encode_state
from rendezvous_core.records.member import Member

_logger = logging.getLogger("rendezvous_core")


class Performer:
    """Between the operations of the protocol and the calls of a backend. Used by one thread at a time,
    but for `Wait`."""

    def __init__(self, backend: MembershipBackend, ledgers: Ledgers, heartbeat_timeout: float) -> None:
        self._backend = backend
        self._ledgers = ledgers
        self._heartbeat_timeout = heartbeat_timeout
        self._decoded: dict[str, tuple[bytes, Member | None]] = {}

    def perform(self, operation: Operation) -> Any:
        """Return the answer to ``operation``.

        Raises:
            RendezvousError: nothing else, whatever the backend raises.
        """
        try:
            return self._apply(operation)
        except RendezvousError:
            raise
        except OSError as error:
            raise RendezvousConnectionError(
                f"The backend '{self._backend.name}' failed: {type(error).__name__}: {error}"
            ) from error
        except Exception as error:
            raise RendezvousStateError(
                f"The backend '{self._backend.name}' raised {type(error).__name__}: {error}. "
                "A backend may raise only rendezvous errors; please report this to its author."
            ) from error

    def close(self) -> None:
        """Close the backend; what it raises is logged."""
        try:
            self._backend.close()
        except Exception:
            _logger.exception("The backend '%s' could not be closed.", self._backend.name)

    def _apply(self, operation: Operation) -> Any:
        match operation:
            case Read():
                found = self._backend.get_state()
                return found and (decode_state(found[0]), found[1])
            case Write(state, token):
                now = time.time()
                dated = replace(state, began=state.began or now, at=now)
                standing = self._backend.set_state(encode_state(dated), token)
                return standing and (decode_state(standing[0]), *standing[1:])
            case Put(member, announce):
                self._put(member, announce)
            case Remove(node):
                self._backend.remove_member(node)
            case List():
                return self._list()
            case File(ledger, pages):
                self._ledgers.write(ledger, pages)
            case Fetch(ledger, numbers):
                return self._ledgers.read(ledger, numbers)
            case Drop(ledger, pages):
                self._ledgers.drop(ledger, pages)
            case Wait(token, members, timeout):
                news = self._backend.wait_for_change(token, timeout, members)
                return (decode_state(news[0]), news[1]) if isinstance(news, tuple) else news
        return None

    def _put(self, member: Member, announce: bool) -> None:
        began = time.monotonic()
        data = encode_member(replace(member, at=time.time()))
        self._backend.put_member(member.node, data, announce=announce)
        took = time.monotonic() - began
        if took > self._heartbeat_timeout:
            _logger.warning("A heartbeat of node %s took %.1f s.", member.node, took)

    def _list(self) -> tuple[dict[str, Member], Token]:
        records, token = self._backend.members()
        decoded: dict[str, tuple[bytes, Member | None]] = {}
        for node, data in records.items():
            known = self._decoded.get(node)
            decoded[node] = known if known and known[0] == data else (data, self._decode(node, data))
        self._decoded = decoded
        return {node: member for node, (_, member) in decoded.items() if member}, token

    def _decode(self, node: str, data: bytes) -> Member | None:
        """A record that cannot be read is passed over: one node's damage must not stop the others."""
        try:
            member = decode_member(data)
        except RendezvousStateError as error:
            _logger.warning("Ignoring the record of node %s: %s", node, error)
            return None
        return member if member.node == node else None
