"""A membership backend over a backend that is no more than one register."""

from collections.abc import Sequence
from secrets import token_hex

from rendezvous_core.over_register.register import Contents, Register
from rendezvous_core.ports.backend import Members, MembershipBackend, RendezvousBackend, ServerFacts, Token


class RegisterBackend(MembershipBackend):
    """Keeps the state, the members and the shared store in the one register of ``backend``.

    For small groups: every write competes with those of all others, and news is found by polling,
    every 20 ms at first and every 500 ms after a while. Others' heartbeats do not make a
    `set_state` fail: its tokens are those of the state within. Of ``backend`` it needs no more than
    the contract of `RendezvousBackend`; what that returns on a conflict is not relied upon.

    Closing it closes ``backend``.
    """

    def __init__(self, backend: RendezvousBackend) -> None:
        self._register = Register(backend)

    @property
    def name(self) -> str:
        """See base class."""
        return self._register.backend.name

    @property
    def hosts(self) -> Sequence[str] | None:
        """See base class."""
        return self._register.backend.hosts

    @property
    def place(self) -> str:
        """See base class."""
        return self._register.backend.place

    def server_facts(self) -> ServerFacts | None:
        """See base class."""
        return self._register.backend.server_facts()

    @property
    def register(self) -> Register:
        """The register, for a `RegisterStore` beside this backend."""
        return self._register

    def get_state(self) -> tuple[bytes, Token] | None:
        """See base class."""
        contents = self._register.read()
        return None if contents.state is None else (contents.state, contents.state_id)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        """See base class."""

        def replace(contents: Contents) -> tuple[bytes, Token, bool] | None:
            if contents.state_id != token:
                return None if contents.state is None else (contents.state, contents.state_id, False)
            contents.state, contents.state_id = state, token_hex(8)
            return contents.state, contents.state_id, True

        return self._register.update(replace)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        """See base class."""

        def put(contents: Contents) -> None:
            contents.members[node] = record
            if announce:
                contents.news = token_hex(8)

        self._register.update(put)

    def remove_member(self, node: str) -> None:
        """See base class."""

        def remove(contents: Contents) -> None:
            contents.members.pop(node, None)

        self._register.update(remove)

    def members(self) -> Members:
        """See base class."""
        contents = self._register.read()
        return Members(contents.members, contents.news)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        """See base class."""

        def changed(contents: Contents) -> bool | None:
            return contents.state_id != token or members not in (None, contents.news) or None

        return bool(self._register.poll(changed, timeout))

    def close(self) -> None:
        """See base class. Ends every wait that is under way."""
        self._register.close()


def with_members(backend: RendezvousBackend) -> MembershipBackend:
    """Return a backend that holds members' records too, be it in its one register."""
    return backend if isinstance(backend, MembershipBackend) else RegisterBackend(backend)
