"""One sealed record: who wrote it had the secret, and it stands where it was written for."""

import os

from rendezvous_core.ports.errors import RendezvousSecretError
from rendezvous_core.ports.sealed import REMEDY, SEALED
from rendezvous_core.sealing.keys import ID_SIZE, Keyring

_SALT, _NONCE = 16, 12
_ID = len(SEALED)
_SALTED = _ID + ID_SIZE
_NONCED = _SALTED + _SALT
_HEAD = _NONCED + _NONCE

OVERHEAD = _HEAD + 16
"""Bytes that a record grows by."""


class Seal:
    """Seals and opens what one run keeps, by AES-256-GCM.

    A record is bound to the run, to its kind, and to the node or key whose it is: elsewhere it does not
    open. To its time it is bound by the serial or the beat within.
    """

    def __init__(self, keyring: Keyring, run_id: str) -> None:
        self._keyring = keyring
        self._run_id = run_id
        self._run = b" %d %s " % (len(run_id.encode()), run_id.encode())
        self._salt = os.urandom(_SALT)
        from cryptography.exceptions import InvalidTag

        # States are opened over and over: what that takes is counted in microseconds.
        self._failures = (InvalidTag, ValueError)
        self.open(
            "", "", self.seal("", "", b"")
        )  # what is used for the first time takes long: not in a round

    def seal(self, kind: str, name: str, data: bytes) -> bytes:
        """Return ``data`` sealed, for the record ``name`` of this ``kind``."""
        key, nonce = self._keyring.first, os.urandom(_NONCE)
        sealed = key.cipher(self._salt).encrypt(nonce, data, self._place(kind, name))
        return b"".join((SEALED, key.id, self._salt, nonce, sealed))

    def open(self, kind: str, name: str, data: bytes) -> bytes:
        """Return what was sealed for this place.

        Raises:
            RendezvousSecretError: it is not sealed, not with a secret of ours, or not for this place.
        """
        if not data.startswith(SEALED):
            raise RendezvousSecretError(
                f"The {kind} of the run '{self._run_id}' is not sealed, and this node has a secret: give all "
                "nodes the same one, or none, and use a new run id."
            )
        key = self._keyring.find(data[_ID:_SALTED])
        if key is None:
            raise RendezvousSecretError(
                f"The {kind} of the run '{self._run_id}' is sealed with another secret (its key is "
                f"{data[_ID:_SALTED].hex()}, this node's are {self._keyring.ids}): {REMEDY}."
            )
        try:
            cipher = key.cipher(data[_SALTED:_NONCED])
            return cipher.decrypt(data[_NONCED:_HEAD], data[_HEAD:], self._place(kind, name))
        except self._failures as error:
            raise RendezvousSecretError(
                f"The {kind} of the run '{self._run_id}' was changed, or brought from another place, by "
                "somebody without the secret: keep them from writing to the backend, and use a new run id."
            ) from error

    def _place(self, kind: str, name: str) -> bytes:
        return b"".join((kind.encode(), self._run, name.encode("utf-8", "surrogatepass")))
