"""How what is sealed with a secret begins, so that who has none knows it."""

from rendezvous_core.ports.errors import RendezvousSecretError

SEALED = b"rdzv-sealed1\0"

REMEDY = "give it as the option secret_file, or in RENDEZVOUS_SECRET_FILE or RENDEZVOUS_SECRET"


def check_unsealed(data: bytes, what: str) -> None:
    """Raise `RendezvousSecretError` if ``data``, ``what`` of a run, is sealed."""
    if data.startswith(SEALED):
        raise RendezvousSecretError(
            f"The {what} of this run is sealed with a secret, and this node has none: {REMEDY}."
        )
