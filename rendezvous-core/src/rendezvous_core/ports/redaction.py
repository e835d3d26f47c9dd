"""What may be shown of what users give: the one place that takes secrets out of it.

It goes by what each part is, not by how it looks: of an endpoint what is parsed as scheme, user, hosts and
path is shown, and nothing else; of an option what its declaration does not call secret.
"""

import re
from datetime import timedelta

HIDDEN = "***"

_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_USER = re.compile(r"[^\s/@:?#=]*:")
_VALUES = re.compile(r"[?#=]")
_HARMLESS = re.compile(r"\?(db|timeout)=[0-9]{1,5}")
"""What stands in queries of Redis' URLs, and is no secret."""
_NAME = re.compile(r"[A-Za-z][\w-]{0,62}", re.ASCII)
_PLAIN = (bool, int, float, timedelta, type(None))


def redact(endpoint: str) -> str:
    """Write an endpoint, or text that may hold one, without its secrets, however malformed it is.

    All before the last ``@`` is hidden but for the scheme and, behind that, the name of a user; so is all
    that follows a ``?``, ``#`` or ``=``, with the ``@`` too.
    """
    scheme = found[0] if (found := _SCHEME.match(endpoint)) else ""
    who, at, where = endpoint[len(scheme) :].rpartition("@")
    if _VALUES.search(who):  # which of both it is, nobody can tell
        return scheme + HIDDEN
    if at:
        user = _USER.match(who) if scheme else None
        at = f"{user[0] if user else ''}{HIDDEN}@"
    place, values = where, ""
    if found := _VALUES.search(where):
        place, values = where[: found.start()], where[found.start() :]
    if values and not _HARMLESS.fullmatch(values):
        values = f"{values[0]}{HIDDEN}"
    return scheme + at + place + values


def shown(value: object) -> str:
    """Write ``value`` for an error: short, and without secrets. Of what holds other things, only the type."""
    if isinstance(value, str):
        text = repr(redact(value))
    elif isinstance(value, _PLAIN):
        try:
            text = repr(value)
        except ValueError:  # an integer of thousands of digits
            text = f"a {type(value).__name__} that cannot be shown"
    else:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:60]}...{text[-17:]}"


def shown_name(name: str) -> str:
    """Write what stands where the name of an option is expected, quoted: a part of a password, at worst."""
    return repr(name) if _NAME.fullmatch(name) else f"'{HIDDEN}'"
