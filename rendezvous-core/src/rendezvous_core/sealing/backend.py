"""A backend whose records are sealed."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from rendezvous_core.ports.backend import Members, MembershipBackend, ServerFacts, Token
from rendezvous_core.ports.errors import RendezvousSecretError
from rendezvous_core.ports.runs import StoredRun
from rendezvous_core.ports.sealed import SEALED
from rendezvous_core.sealing.keys import Keyring
from rendezvous_core.sealing.seal import Seal

_logger = logging.getLogger("rendezvous_core")

_STATE, _MEMBER = "state", "record of a node"


class SealedBackend(MembershipBackend):
    """Keeps all in ``backend``, sealed with the secrets of ``keyring``; what is not, it refuses.

    A state that does not open is an error: this node can take no part in the run. A member's record that
    does not open is passed over: whoever wrote it must not disturb the others.

    Closing it closes ``backend``.
    """

    def __init__(self, backend: MembershipBackend, keyring: Keyring, run_id: str) -> None:
        self._backend = backend
        self.keyring = keyring
        self._seal = Seal(keyring, run_id)
        self._state: tuple[bytes, bytes] = b"", b""
        self._opened: dict[str, tuple[bytes, bytes | None]] = {}

    @property
    def unsealed(self) -> MembershipBackend:
        """The backend that keeps what is sealed here."""
        return self._backend

    @property
    def name(self) -> str:
        """See base class."""
        return self._backend.name

    @property
    def hosts(self) -> Sequence[str] | None:
        """See base class."""
        return self._backend.hosts

    @property
    def place(self) -> str:
        """See base class."""
        return self._backend.place

    def server_facts(self) -> ServerFacts | None:
        """See base class."""
        return self._backend.server_facts()

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class; `RendezvousSecretError` where the state does not open."""
        found = self._backend.get_state()
        return found and (self._open_state(found[0]), found[1])

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class; `RendezvousSecretError` where the state that stands does not open."""
        sealed = self._seal.seal(_STATE, "", state)
        result = self._backend.set_state(sealed, token)
        if result is None:
            return None
        standing, token, written = result
        if standing == sealed:
            self._state = sealed, state
        return self._open_state(standing), token, written

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class."""
        self._backend.put_member(node, self._seal.seal(_MEMBER, node, record), announce=announce)

    def remove_member(self, node: str) -> None:
        """See base class."""
        self._backend.remove_member(node)

    def members(self) -> Members:
        """See base class; without those that do not open."""
        listed = self._backend.members()
        former, opened = self._opened, dict[str, tuple[bytes, bytes | None]]()
        for node, sealed in listed.records.items():
            known = former.get(node)
            opened[node] = (
                known if known and known[0] == sealed else (sealed, self._open_member(node, sealed))
            )
        self._opened = opened
        return Members({node: data for node, (_, data) in opened.items() if data is not None}, listed.token)

    def wait_for_change(
        self, token: Token | None, timeout: float, members: Token | None = None
    ) -> bool | tuple[bytes, Token]:
        """See base class; `RendezvousSecretError` where a state that it returns does not open."""
        news = self._backend.wait_for_change(token, timeout, members)
        return (self._open_state(news[0]), news[1]) if isinstance(news, tuple) else news

    def close(self) -> None:
        """See base class."""
        self._backend.close()

    def _open_state(self, sealed: bytes) -> bytes:
        # The same bytes are read over and over.
        known, state = self._state
        if known != sealed:
            state = self._seal.open(_STATE, "", sealed)
            self._state = sealed, state
        return state

    def _open_member(self, node: str, sealed: bytes) -> bytes | None:
        try:
            return self._seal.open(_MEMBER, node, sealed)
        except RendezvousSecretError as error:
            if self._opened.get(node, (b"", b""))[1] is not None:  # once for each node
                _logger.warning("Ignoring the record of node %.64r: %s", node, error)
            return None


def seal_backend(backend: MembershipBackend, keyring: Keyring | None, run_id: str) -> MembershipBackend:
    """Return ``backend``, sealed where there is a secret and it is not yet."""
    if keyring is None or isinstance(backend, SealedBackend):
        return backend
    return SealedBackend(backend, keyring, run_id)


def opened_run(run: StoredRun, keyring: Keyring | None, run_id: str) -> StoredRun:
    """Return what a backend holds of a run, opened where it is sealed and there is a secret.

    Raises:
        RendezvousSecretError: the state does not open.
    """
    if keyring is None or not run.state.startswith(SEALED):
        return run
    seal, members = Seal(keyring, run_id), {}
    for node, record in run.members.items():
        with suppress(RendezvousSecretError):
            members[node] = seal.open(_MEMBER, node, record)
    return StoredRun(seal.open(_STATE, "", run.state), members)


def unsealed(backend: MembershipBackend) -> MembershipBackend:
    """Return the backend under the seal, if there is one."""
    return backend.unsealed if isinstance(backend, SealedBackend) else backend
