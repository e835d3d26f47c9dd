"""What a handler is built from: where to meet, under which id, how many, and the backend's options."""

import math
import re
from typing import Any

from rendezvous_core.ports.endpoint import redact

_SECRET = re.compile(r"pass|pwd|secret|token|credential|auth|key", re.IGNORECASE)
_TRUE = {"1", "true", "t", "yes", "y"}
_FALSE = {"0", "false", "f", "no", "n"}


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
        ValueError: no backend name, ``min_nodes`` below one, or ``max_nodes`` below ``min_nodes``.
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
        if min_nodes < 1:
            raise ValueError(
                f"The minimum number of rendezvous nodes ({min_nodes}) must be greater than zero."
            )
        if max_nodes < min_nodes:
            raise ValueError(
                f"The maximum number of rendezvous nodes ({max_nodes}) must be greater than or equal to "
                f"the minimum number of rendezvous nodes ({min_nodes})."
            )
        self.backend = backend
        self.endpoint = endpoint
        self.run_id = run_id
        self.min_nodes = min_nodes
        self.max_nodes = max_nodes
        self.local_addr = local_addr
        self.config = kwargs

    def get(self, key: str, default: Any = None) -> Any:
        """Return the option ``key``, or ``default`` where it is not given."""
        return self.config.get(key, default)

    def get_as_bool(self, key: str, default: bool | None = None) -> bool | None:
        """Return the option ``key`` as a boolean: true/false, t/f, yes/no, y/n, 1/0 in any case.

        Raises:
            ValueError: the option is something else.
        """
        value = self.get(key, default)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | str):
            text = str(value).strip().lower()
            if text in _TRUE:
                return True
            if text in _FALSE:
                return False
        raise self._invalid(key, value, "boolean")

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
        except (TypeError, ValueError, OverflowError) as error:
            raise self._invalid(key, value, "integer") from error
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
        except (TypeError, ValueError, OverflowError) as error:
            raise self._invalid(key, value, "number") from error
        if not math.isfinite(number):
            raise self._invalid(key, value, "number")
        return number

    def __repr__(self) -> str:
        fields = ["backend", "endpoint", "run_id", "min_nodes", "max_nodes", "local_addr"]
        shown = [f"{name}={redact(repr(getattr(self, name)))}" for name in fields]
        shown += [f"{key}={_shown(key, value)}" for key, value in self.config.items()]
        return f"{type(self).__name__}({', '.join(shown)})"

    @staticmethod
    def _invalid(key: str, value: object, kind: str) -> ValueError:
        return ValueError(
            f"The rendezvous configuration option '{key}' ({_shown(key, value)}) does not represent "
            f"a valid {kind} value."
        )


def _shown(key: str, value: object) -> str:
    return "'***'" if _SECRET.search(key) else redact(repr(value))
