"""What to do about a connection that does not come about, guessed from what the client libraries say."""

import re

_HINTS = (
    (
        r"CERTIFICATE_VERIFY_FAILED",
        "its certificate cannot be verified: give the authority that signed it, ca_cert",
    ),
    (
        r"(?i)alert.bad.certificate|certificate.required|handshake.failure",
        "it wants a certificate of its clients that it can verify: give ssl_cert and ssl_cert_key",
    ),
)
_CLOSED = r"(?i)socket closed|without response|connection reset|eof.while.reading|wrong.version.number"


def hint(text: str, secure: bool) -> str:
    """Return a remedy in parentheses after a space, or nothing."""
    for pattern, remedy in _HINTS:
        if re.search(pattern, text):
            return f" ({remedy})"
    if not re.search(_CLOSED, text):
        return ""
    if secure:
        return (
            " (if it does not speak TLS, leave out protocol=https and the certificates; its v2 API hangs up "
            "on certificates of users that it does not know, too)"
        )
    return " (if it speaks TLS, say protocol=https)"
