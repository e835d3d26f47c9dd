"""What a handler is built from: where to meet, under which id, how many, and the backend's options."""

import math
import re
from collections.abc import Mapping
from typing import Any

from rendezvous_core.ports.limits import (
    MAX_ENDPOINT,
    MAX_RUN_ID,
    check_address,
    check_nodes,
    check_run_id,
    check_text,
    parse_boolean,
)
from rendezvous_core.ports.redaction import HIDDEN, redact, shown, shown_name

_SECRET = re.compile(r"pass|pw|pin|secret|token|bearer|cred|auth|key", re.IGNORECASE)
"""Names of numbers that are not shown, where nobody has declared what they are."""


class RendezvousParameters:
    """The parameters of a `RendezvousHandler`; same names and meaning as torch's.

    An empty ``run_id`` passes here, as in torch; the handlers refuse it.

    Args:
        backend: name of the backend, as `rdzv backends` lists it.
        endpoint: where the backend is, usually ``host[:port]``.
        run_id: id of the run: the nodes that give the same one meet.
        min_nodes: smallest number of nodes of a round.
        max_nodes: largest number of nodes of a round.
        local_addr: address of this node as the others reach it; found out where it is ``None``.
        **kwargs: options of the handler and of the backend; strings, as the command line gives
            them, or the typed value.

    Raises:
        ValueError: no backend name; ``min_nodes`` below one, ``max_nodes`` below ``min_nodes``, or no
            integers; an endpoint, run id or address that is no text, too long, or cannot be encoded.
    """

    def __init__(
        self,
        backend: str,
        endpoint: str,
        run_id: str,
        min_nodes: int,
        max_nodes: int,
        local_addr: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not backend:
            raise ValueError(f"The rendezvous backend name ({backend!r}) must be a non-empty string.")
        self.backend = check_text("The rendezvous backend name", backend, MAX_RUN_ID)
        self.endpoint = check_text("The endpoint", "" if endpoint is None else endpoint, MAX_ENDPOINT)
        self.run_id = check_run_id(run_id, least=0)
        self.min_nodes, self.max_nodes = check_nodes(min_nodes, max_nodes)
        self.local_addr = check_address(local_addr)
        self.config = kwargs
        self._declared: dict[str, bool] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return the option ``key``, or ``default`` where it is not given."""
        return self.config.get(key, default)

    def get_as_bool(self, key: str, default: bool | None = None) -> bool | None:
        """Return the option ``key`` as a boolean: true/false, t/f, yes/no, y/n, 1/0 in any case.

        Raises:
            ValueError: the option is something else.
        """
        value = self.get(key, default)
        if value is None:
            return None
        flag = parse_boolean(value)
        if flag is None:
            raise self._invalid(key, value, "boolean")
        return flag

    def get_as_int(self, key: str, default: int | None = None) -> int | None:
        """Return the option ``key`` as an integer.

        Raises:
            ValueError: the option is no integer.
        """
        value = self.get(key, default)
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise self._invalid(key, value, "integer") from None  # the cause would show a secret once more
        if isinstance(value, float) and value != number:
            raise self._invalid(key, value, "integer")
        return number

    def get_as_float(self, key: str, default: float | None = None) -> float | None:
        """Return the option ``key`` as a finite number.

        Raises:
            ValueError: the option is no number, infinite, or not a number.
        """
        value = self.get(key, default)
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise self._invalid(key, value, "number") from None  # the cause would show a secret once more
        if not math.isfinite(number):
            raise self._invalid(key, value, "number")
        return number

    def declare(self, secrets: Mapping[str, bool]) -> None:
        """Say of options, by their names, whether they are secret: those that are not may be shown.

        Of others only numbers and booleans are shown, unless their names tell that they are secret.
        """
        self._declared = {**self._declared, **secrets}

    def __repr__(self) -> str:
        fields = ["backend", "endpoint", "run_id", "min_nodes", "max_nodes", "local_addr"]
        told = [f"{name}={_redacted(getattr(self, name))}" for name in fields]
        told += [f"{shown_name(key)[1:-1]}={self._shown(key, value)}" for key, value in self.config.items()]
        return f"{type(self).__name__}({', '.join(told)})"

    def _invalid(self, key: str, value: object, kind: str) -> ValueError:
        return ValueError(
            f"The rendezvous configuration option {shown_name(key)} ({self._shown(key, value)}) does not "
            f"represent a valid {kind} value."
        )

    def _shown(self, key: str, value: object) -> str:
        is_number = isinstance(value, bool | int | float) and not _SECRET.search(key)
        is_secret = self._declared.get(key, value is not None and not is_number)
        return f"'{HIDDEN}'" if is_secret else shown(value)


def _redacted(value: object) -> str:
    return repr(redact(value) if isinstance(value, str) else value)
