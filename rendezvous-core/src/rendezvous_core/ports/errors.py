"""The errors of a rendezvous: the names and meanings of torch's, with a message that is never empty."""


class RendezvousError(Exception):
    """Base of all rendezvous errors; ``str(error)`` is never empty."""

    _default = "The rendezvous has failed."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self._default)


class RendezvousClosedError(RendezvousError):
    """The rendezvous is closed: no further round will ever form under this run id."""

    _default = "The rendezvous is closed."


class RendezvousTimeoutError(RendezvousError, TimeoutError):
    """A rendezvous, or an operation of a store, did not complete in its time."""

    _default = "The rendezvous did not complete on time."


class RendezvousConnectionError(RendezvousError, ConnectionError):
    """The backend could not be reached until the deadline of the operation."""

    _default = "The connection to the rendezvous backend has failed."


class RendezvousBackendLostError(RendezvousConnectionError):
    """The backend has ended with all that it held: waiting for it is of no use."""

    _default = "The rendezvous backend has ended."


class RendezvousStateError(RendezvousError):
    """What the backend holds is corrupt, foreign, or contradicts this node's settings."""

    _default = "The state of the rendezvous is corrupt."


class RendezvousSecretError(RendezvousStateError):
    """What the backend holds is sealed with a secret that this node has not got, or not with its own."""

    _default = "The rendezvous is sealed with another secret."


class RendezvousGracefulExitError(RendezvousError):
    """The run ended while this node stood by as a spare: leave the stack; it is no failure."""

    _default = "The rendezvous has ended; this spare node is no longer needed."
