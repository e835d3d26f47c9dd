"""The arguments of a store's methods, checked in one place for every store, before it is asked.

A store may send a key anywhere, and whoever reads it there must be able to. `guard` costs a call of a
store less than a microsecond; what is wrapped once more, as a view over a store, is looked at twice.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from numbers import Real
from types import FunctionType
from typing import Any, SupportsIndex

from rendezvous_core.ports.limits import MAX_INTEGER, MAX_SECONDS, is_unicode
from rendezvous_core.ports.redaction import shown

_Method = Callable[..., Any]


def guard(store: type) -> None:
    """Have the methods that the class ``store`` itself defines check their keys and amounts first."""
    for name, guarded in _GUARDED.items():
        method = store.__dict__.get(name)
        if isinstance(method, FunctionType) and not getattr(method, "__isabstractmethod__", False):
            setattr(store, name, guarded(method))


def check_key(key: object) -> None:
    """Refuse what is no key.

    Raises:
        TypeError: it is no text.
        ValueError: it holds surrogates, which no other node could read.
    """
    if not isinstance(key, str):
        raise TypeError(f"A key of a store must be text (str), not {shown(key)}.")
    if not is_unicode(key):
        raise ValueError(
            f"The key {shown(key)} holds half a character (a surrogate), which cannot be written as UTF-8."
        )


def check_seconds_of(timeout: object) -> float:
    """Return a timeout in seconds that is given as a number; zero or less means not to wait.

    Raises:
        TypeError: it is no number.
        ValueError: it is longer than `MAX_SECONDS`, or not a number.
    """
    given: Any = timeout
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise TypeError(f"A timeout must be a timedelta or a number of seconds, not {shown(timeout)}.")
    if not given <= MAX_SECONDS:  # not a number is not, either
        raise ValueError(f"A timeout ({shown(timeout)}) must be a number of seconds up to {MAX_SECONDS:.0f}.")
    return float(given)


def _of_key(method: _Method) -> _Method:
    @wraps(method)
    def call(self: Any, key: Any, *others: Any, **named: Any) -> Any:
        if key.__class__ is not str or not key.isascii():
            check_key(key)
        return method(self, key, *others, **named)

    return call


def _of_keys(method: _Method) -> _Method:
    @wraps(method)
    def call(self: Any, keys: Any, *others: Any, **named: Any) -> Any:
        if keys.__class__ is not list:
            keys = _listed(method.__name__, keys)
        for key in keys:
            if key.__class__ is not str or not key.isascii():
                check_key(key)
        return method(self, keys, *others, **named)

    return call


def _of_amount(method: _Method) -> _Method:
    @wraps(method)
    def call(self: Any, key: Any, amount: Any) -> Any:
        if key.__class__ is not str or not key.isascii():
            check_key(key)
        if not isinstance(amount, SupportsIndex):
            raise TypeError(f"The amount to add to {key!r} must be an integer (int), not {shown(amount)}.")
        whole = operator.index(amount)
        if not -MAX_INTEGER <= whole <= MAX_INTEGER:
            raise ValueError(f"The amount to add to {key!r} ({shown(amount)}) must fit into 64 bits.")
        return method(self, key, whole)

    return call


def _of_writes(method: _Method) -> _Method:
    @wraps(method)
    def call(self: Any, writes: Any) -> Any:
        writes = list(writes)
        for kind, key, _ in writes:
            if kind not in ("set", "append"):
                raise ValueError(f"write_all can 'set' and 'append', not {shown(kind)}.")
            check_key(key)
        return method(self, writes)

    return call


def _listed(method: str, keys: object) -> list[Any]:
    """A bare string is a list of its letters to Python, and never what was meant."""
    if isinstance(keys, str | bytes):
        raise TypeError(f"{method} takes a list of keys: write [{shown(keys)}] where there is but one.")
    if not isinstance(keys, Iterable):
        raise TypeError(f"{method} takes a list of keys, not {shown(keys)}.")
    return list(keys)


_GUARDED: Mapping[str, Callable[[_Method], _Method]] = {
    **dict.fromkeys(
        (
            "set",
            "get",
            "append",
            "compare_set",
            "delete_key",
            "queue_push",
            "queue_pop",
            "queue_len",
            "barrier",
        ),
        _of_key,
    ),
    **dict.fromkeys(("check", "wait", "multi_get", "multi_set", "peek_all"), _of_keys),
    "add": _of_amount,
    "write_all": _of_writes,
}
