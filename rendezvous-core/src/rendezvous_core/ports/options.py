"""Options as they are declared: one table says what is read, what is refused, and what people are shown."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rendezvous_core.ports.limits import (
    MAX_INTEGER,
    MAX_METADATA,
    MAX_SECONDS,
    MIN_SECONDS,
    check_integer,
    check_metadata,
    check_seconds,
    check_text,
    number,
    parse_boolean,
    span,
)
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.redaction import HIDDEN, shown, shown_name
from rendezvous_core.ports.spelling import did_you_mean

Kind = Literal["seconds", "integer", "boolean", "text", "path", "choice", "pairs"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MAX_TEXT = 65_536
_BOUNDS = {"seconds": (MIN_SECONDS, MAX_SECONDS), "integer": (0, MAX_INTEGER)}

TORCHRUN_TIMEOUT = 900
"""What torchrun's launcher adds to the options of every job as ``timeout``, whoever reads it."""


@dataclass(frozen=True)
class Option:
    """An option of a backend, as the plugin's hook ``rendezvous_options`` declares it.

    Args:
        name: lowercase letters, digits and underscores.
        kind: ``seconds`` (a float), ``integer``, ``boolean``, ``text``, ``path`` (of a file), ``choice``
            (one of ``choices``, in any case), or ``pairs`` (a mapping of text to text, or text such as
            ``rack=r1;zone=a``).
        help: one line for people.
        default: what `read` returns where the option is not given.
        least: the least number; by default a millisecond, or 0.
        most: the greatest number; by default 31 years, or the greatest of 64 bits.
        choices: of a ``choice``.
        secret: never shown, neither in errors nor in a ``repr`` of the parameters.
        unset: says, for people, what holds where the option is not given and ``default`` does not tell.
        variable: the environment variable that the backend reads where the option is not given.
        aliases: other names, such as torch's, that count where ``name`` itself is not given.

    Raises:
        ValueError: the declaration contradicts itself.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    least: float | None = None
    most: float | None = None
    choices: Sequence[str] = ()
    secret: bool = False
    unset: str = ""
    variable: str = ""
    aliases: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in self.names):
            raise ValueError(f"{self.names} must be lowercase letters, digits and underscores.")
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"The kind of the option '{self.name}' ({self.kind!r}) is none of {get_args(Kind)}."
            )
        if bool(self.choices) != (self.kind == "choice"):
            raise ValueError(f"The option '{self.name}' needs choices if it is a choice, and only then.")
        if self.kind not in _BOUNDS and (self.least is not None or self.most is not None):
            raise ValueError(f"The option '{self.name}' is no number and has no bounds.")
        if self.default is not None:
            object.__setattr__(self, "default", self.check(self.default))

    @property
    def names(self) -> tuple[str, ...]:
        """The name and its aliases."""
        return (self.name, *self.aliases)

    @property
    def values(self) -> str:
        """What it may be, in words, as errors and tables show it."""
        match self.kind:
            case "seconds":
                return f"{_positive(self.bounds)}number of seconds {span(*self.bounds)}"
            case "integer":
                return f"an integer {span(*self.bounds)}"
            case "boolean":
                return "true or false (or t, f, yes, no, y, n, 1, 0)"
            case "choice":
                return " or ".join(filter(None, (", ".join(self.choices[:-1]), self.choices[-1])))
            case "pairs":
                return f"as rack=r1;zone=a, or a mapping of text to text, in at most {MAX_METADATA} bytes"
            case "path":
                return "the path of a file"
        return "text"

    @property
    def brief(self) -> str:
        """The same for tables, without what is usual."""
        if self.kind == "seconds":
            least, most = self.bounds
            start = "" if self.least is None else f" from {number(least)}"
            return f"seconds{start}" + ("" if self.most is None else f" up to {number(most)}")
        if self.kind == "integer":
            return f"integer {span(*self.bounds)}"
        words = {"boolean": "true or false", "pairs": "`rack=r1;zone=a`, or a mapping", "path": "file"}
        return words.get(self.kind, self.values)

    @property
    def standing(self) -> str:
        """What holds where it is not given, in words."""
        if self.unset or self.default is None:
            return self.unset or "none"
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{number(self.default)} s" if self.kind == "seconds" else str(self.default)

    def check(self, value: object) -> Any:
        """Return ``value``, typed or as the command line gives it, as what it stands for.

        Raises:
            ValueError: it is none of `values`; names the option and what it may be.
        """
        try:
            return self._parse(value)
        except ValueError:
            hidden = f"'{HIDDEN}'" if self.secret else shown(value)
            # The cause would show a secret once more.
            raise ValueError(f"The option '{self.name}' ({hidden}) must be {self.values}.") from None

    def read(self, params: RendezvousParameters) -> Any:
        """Return what ``params`` give for it, checked; the default where that is nothing or ``None``.

        Raises:
            ValueError: as `check` does.
        """
        for name in self.names:
            if (value := params.config.get(name)) is not None:
                return self.check(value)
        return self.default

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number of ``seconds`` or of an ``integer``."""
        least, most = _BOUNDS[self.kind]
        return least if self.least is None else self.least, most if self.most is None else self.most

    def _parse(self, value: object) -> Any:
        text = value.strip() if isinstance(value, str) else None
        match self.kind:
            case "seconds":
                return check_seconds("", value if text is None else float(text), *self.bounds)
            case "integer":
                whole = int(value) if isinstance(value, float) and value.is_integer() else value
                least, most = self.bounds
                return check_integer("", whole if text is None else int(text), int(least), int(most))
            case "boolean":
                flag = parse_boolean(value)
                return _refuse() if flag is None else flag
            case "choice":
                found = [each for each in self.choices if each.lower() == (text or "").lower()]
                return found[0] if found else _refuse()
            case "pairs":
                return check_metadata(_pairs(text) if text is not None else value)
            case "path":
                return check_text(
                    "", os.fspath(value) if isinstance(value, os.PathLike) else value, _MAX_TEXT, 1
                )
        # A number, as a configuration file has it for a password or a port, is what it is written as.
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return check_text("", str(value) if is_number else value, _MAX_TEXT)


def read_options(params: RendezvousParameters, options: Iterable[Option]) -> dict[str, Any]:
    """Return what ``params`` give for each of ``options`` by its name; see `Option.read`."""
    return {option.name: option.read(params) for option in options}


def check_options(backend: str, given: Mapping[str, object], options: Iterable[Option]) -> None:
    """Check what is ``given`` to ``backend`` against all the options that somebody reads.

    Raises:
        ValueError: a value is none that its option may have, or nobody reads an option of that name.
    """
    known = {name: option for option in options for name in option.names}
    for name, value in given.items():
        if name in known:
            if value is not None:
                known[name].check(value)
        elif (name, str(value)) != ("timeout", str(TORCHRUN_TIMEOUT)):
            raise ValueError(
                f"The backend '{backend}' has no option {shown_name(name)}{_advice(backend, name, known)}"
            )


def _advice(backend: str, name: str, known: Iterable[str]) -> str:
    """Name what may have been meant. What stands behind a misspelt name may be a password: do not show it."""
    if name == "timeout" and "join_timeout" in known:
        return "; did you mean 'join_timeout'?"
    return did_you_mean(name, known) or f": see 'rdzv backends --options {backend}'."


def _positive(bounds: tuple[float, float]) -> str:
    return "a positive " if bounds[0] > 0 else "a "


def _pairs(text: str) -> dict[str, str]:
    if not text:
        return {}
    pairs = [pair.partition("=") for pair in text.split(";")]
    if not all(name.strip() and separator for name, separator, _ in pairs):
        _refuse()
    return {name.strip(): value.strip() for name, _, value in pairs}


def _refuse() -> Any:
    raise ValueError
