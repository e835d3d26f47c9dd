"""What the plugins of these tests are made of; copied beside them."""

from rendezvous_core import RendezvousBackend, RendezvousHandler, RendezvousInfo, Token


class Handler(RendezvousHandler):
    def __init__(self, backend: str) -> None:
        self._backend = backend

    def get_backend(self) -> str:
        return self._backend

    def next_rendezvous(self) -> RendezvousInfo:
        raise NotImplementedError

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None: ...

    def num_nodes_waiting(self) -> int:
        return 0

    def get_run_id(self) -> str:
        return ""

    def shutdown(self) -> bool:
        return True


class Register(RendezvousBackend):
    """A backend with no more than the three methods of a register."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state: tuple[bytes, Token] | None = None

    @property
    def name(self) -> str:
        return self._name

    def get_state(self) -> tuple[bytes, Token] | None:
        return self._state

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        if token != (self._state and self._state[1]):
            return self._state and (*self._state, False)
        self._state = (state, (token or 0) + 1)
        return (*self._state, True)

    def close(self) -> None:
        print(f"closed {self._name}")
