"""The secrets of a run, and the keys that follow from them."""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping

from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.settings import SECRET, SECRET_FILE

SECRET_VARIABLE = "RENDEZVOUS_SECRET"
FILE_VARIABLE = "RENDEZVOUS_SECRET_FILE"

ID_SIZE = 4
"""Bytes of the id of a key."""

_LEAST = 16
"""Characters of a secret: shorter ones can be guessed by who reads what is sealed."""
_MOST = 64
"""Secrets at the same time."""
_PAUSE = 1.0
"""Seconds between two looks at the file of the secrets."""
_WRITERS = 16_384
"""For how many writers, which have a key each, keys are remembered."""

_logger = logging.getLogger("rendezvous_core")


class Key:
    """What follows from one secret.

    Its id follows from the secret too. Each writer seals with a key of its own, derived with its salt, so
    that no key is used so often that two random nonces could be the same.
    """

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

        self.id = HKDF(SHA256(), ID_SIZE, None, b"rendezvous key id").derive(secret)
        # What is the same for all writers is done once: a coordinator derives a key for each node.
        common = HKDF(SHA256(), 32, None, b"rendezvous seal").derive(secret)

        def cipher(salt: bytes) -> AESGCM:
            return AESGCM(HKDFExpand(SHA256(), 32, salt).derive(common))

        self.cipher: Callable[[bytes], AESGCM] = functools.lru_cache(maxsize=_WRITERS)(cipher)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id.hex()}>"


class Keyring:
    """The secrets of a run: the first seals, each of them opens.

    Where they stand in a file it is read again when it changes, so that a running group can go over to
    another secret: written last in the file of every node first, then first, and at last alone.
    """

    def __init__(self, text: str = "", path: str = "") -> None:
        """Read ``text``, or else the file at ``path``: a secret a line, but for empty ones and those with #.

        Raises:
            ValueError: the file cannot be read, there is no secret, or one is too short; names the remedy.
        """
        _require_cryptography()
        self._path = path
        self._reading = threading.Lock()
        self._stamp = _stamp(path)
        self._looked = time.monotonic()
        self._keys = _read(text, SECRET_VARIABLE) if not path else _read_file(path)
        if path and os.stat(path).st_mode & 0o007:
            _logger.warning("All users of this machine can read the secret in %s: chmod 0600 %s.", path, path)

    @property
    def first(self) -> Key:
        """The key that seals."""
        self._look()
        return self._keys[0]

    def find(self, key_id: bytes) -> Key | None:
        """Return the key of this id."""
        for key in self._keys:
            if key.id == key_id:
                return key
        self._look()
        return next((key for key in self._keys if key.id == key_id), None)

    @property
    def ids(self) -> str:
        """The ids of the keys, for people."""
        return ", ".join(key.id.hex() for key in self._keys)

    def _look(self) -> None:
        """Read the file again if it has changed; what cannot be read leaves all as it is."""
        now = time.monotonic()
        if not self._path or now - self._looked < _PAUSE or not self._reading.acquire(blocking=False):
            return
        try:
            self._looked = now
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._keys = _read_file(self._path)
                _logger.info("The secrets in %s have changed: the keys are now %s.", self._path, self.ids)
        except ValueError as error:
            _logger.warning("%s The secrets read before still hold.", error)
        finally:
            self._reading.release()


def find_keyring(params: RendezvousParameters, environ: Mapping[str, str] = os.environ) -> Keyring | None:
    """Return the secrets that ``params`` or else the environment give; ``None`` where nobody gives any.

    Raises ``ValueError`` as `Keyring` does, and where two are given.
    """
    return keyring_of(SECRET.read(params), SECRET_FILE.read(params), environ)


def keyring_of(
    secret: str | None, secret_file: str | None, environ: Mapping[str, str] = os.environ
) -> Keyring | None:
    """Return the secrets that are given, or else those of the environment; raises as `find_keyring`."""
    _refuse_both(SECRET.name, secret, SECRET_FILE.name, secret_file)
    if not (secret or secret_file):
        secret, secret_file = environ.get(SECRET_VARIABLE), environ.get(FILE_VARIABLE)
        _refuse_both(SECRET_VARIABLE, secret, FILE_VARIABLE, secret_file)
    if secret_file:
        return Keyring(path=secret_file)
    return Keyring(secret) if secret else None


def _refuse_both(name: str, value: str | None, other: str, other_value: str | None) -> None:
    if value and other_value:
        raise ValueError(f"Both '{name}' and '{other}' are given: give one of them.")


def _read_file(path: str) -> tuple[Key, ...]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_MOST * 1024)
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"The file of the secret, {path!r}, cannot be read: {problem}.") from None
    return _read(text, path)


def _read(text: str, where: str) -> tuple[Key, ...]:
    lines = [line.strip() for line in text.splitlines()]
    secrets = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not secrets or len(secrets) > _MOST:
        raise ValueError(f"There are {len(secrets)} secrets in {where}: write from 1 to {_MOST}, one a line.")
    if any(len(secret) < _LEAST for secret in secrets):
        raise ValueError(
            f"A secret in {where} has less than {_LEAST} characters, which can be guessed: make one with "
            "'openssl rand -hex 32'."
        )
    return tuple(_key(secret) for secret in secrets)


@functools.lru_cache(maxsize=2 * _MOST)
def _key(secret: str) -> Key:
    return Key(secret.encode("utf-8", "surrogateescape"))


def _stamp(path: str) -> tuple[int, int, int]:
    if not path:
        return 0, 0, 0
    try:
        found = os.stat(path)
    except OSError as error:
        raise ValueError(f"The file of the secret, {path!r}, cannot be read: {error.strerror}.") from None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "A secret is given, but nothing to seal with is installed: pip install 'rendezvous-core[secret]'."
        ) from error
