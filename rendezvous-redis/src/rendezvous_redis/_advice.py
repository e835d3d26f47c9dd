"""What servers, their TLS and the network say, and what to do about it: one table."""

import re
from typing import NamedTuple


class Advice(NamedTuple):
    """What to do when something is said."""

    says: re.Pattern[str]
    """What is said: a code of Redis, an alert of TLS, or words."""
    passes: bool
    """Whether it ends without anybody's doing, or with a failover, so that going on trying is worth it."""
    text: str
    """What that means, and the fix."""


def _row(says: str, text: str, *, passes: bool = False) -> Advice:
    return Advice(re.compile(says), passes, text)


# Inside a script older servers wrap the reply in text of their own, so codes are found anywhere.
TABLE = (
    # Who may
    _row(
        r"protected mode",
        "it is in protected mode, in which it serves its own machine only: set a password there "
        "(requirepass), or 'protected-mode no' in a network that nobody else can reach",
    ),
    _row(
        r"\bNOAUTH\b|Authentication required|unauthenticated",
        "it asks for a password: give the option 'password', or set RENDEZVOUS_REDIS_PASSWORD",
    ),
    _row(
        r"without any password configured|no password is set",
        "it knows no password: set one there (requirepass), or give none, by option, endpoint or environment",
    ),
    _row(
        r"\bWRONGPASS\b|invalid password|wrong number of arguments for 'auth'",
        "it refuses the user or the password: correct them",
    ),
    _row(
        r"\bNOPERM\b|no permissions|can't run this command|can't access at least one",
        "the user may not do this: grant what the README of rendezvous-redis lists",
    ),
    _row(r"unknown command .SENTINEL", "it is no Sentinel: name Sentinels, usually at port 26379"),
    _row(
        r"(?i)unknown (redis )?command|unsupported command",
        "it does not know a command that is needed: that is renamed or disabled there (rename-command), "
        "the server is older than Redis 6.2, or it is a Sentinel: write sentinel://host/master-name",
    ),
    _row(
        r"max number of clients", "it has no place for one more client: raise its 'maxclients'", passes=True
    ),
    # What it holds
    _row(
        r"\bWRONGTYPE\b",
        "something else is stored under a key of this run: delete it, or choose another run id or key_prefix",
    ),
    _row(r"\bOOM\b", "it is out of memory: raise its maxmemory, or free some"),
    _row(
        r"\bMISCONF\b",
        "it cannot persist its data and therefore refuses to write: repair its disk, or its 'save'",
    ),
    _row(
        r"invalid bulk length|invalid multibulk length|exceeds maximum allowed|max request size",
        "the value is larger than it takes: store less, or raise its 'proto-max-bulk-len'",
    ),
    _row(r"DB index|SELECT is not allowed", "it has no such database: correct its number"),
    # Where it stands
    _row(r"cluster support disabled", "it is no cluster: write host:port, or redis://host:port"),
    _row(
        r"\bREADONLY\b|read only replica",
        "it is a read-only replica: give the address of the primary",
        passes=True,
    ),
    _row(r"\bLOADING\b|loading the dataset", "it is still loading its data", passes=True),
    _row(r"\bMASTERDOWN\b", "it is a replica without a primary", passes=True),
    _row(r"\bNOREPLICAS\b", "it has too few replicas to write: see its min-replicas-to-write", passes=True),
    _row(r"\bBUSY\b", "a script of somebody's holds it up: wait, or end that with SCRIPT KILL", passes=True),
    _row(r"\bUNBLOCKED\b", "somebody has ended the wait", passes=True),
    _row(r"\bCLUSTERDOWN\b", "the cluster does not serve the run's slot: see CLUSTER INFO", passes=True),
    _row(
        r"\b(ASK|TRYAGAIN)\b",
        "the run's slot of the cluster is moving to another node, which ends by itself; if somebody has "
        "given up in the middle, end it with redis-cli --cluster fix",
        passes=True,
    ),
    _row(r"\bMOVED\b", "the run's slot of the cluster has moved to another node", passes=True),
    # TLS
    _row(
        r"wants TLS", "it wants TLS: write rediss://, or set the option 'tls', or give its port without TLS"
    ),
    _row(
        r"speaks no TLS|WRONG_VERSION_NUMBER",
        "it speaks no TLS at this port: write redis:// instead of rediss://, or set 'tls' to false, or give "
        "its port for TLS",
    ),
    _row(
        r"reply to the handshake",
        "TLS has failed: is this its port for TLS, and does it run?",
        passes=True,
    ),
    _row(
        r"certificate has expired",
        "its certificate has expired: renew that there, or correct the clock of this machine",
    ),
    _row(
        r"certificate is not yet valid",
        "its certificate is not valid yet: correct the clock of this machine, or of whoever issued it",
    ),
    _row(
        r"Hostname mismatch|IP address mismatch|doesn't match",
        "its certificate is for another name: give the endpoint by a name that the certificate has, or have "
        "it issued for this one",
    ),
    _row(
        r"self.signed|issuer certificate|verify the first certificate",
        "its certificate is from an authority that is not trusted here: give that authority's certificate as "
        "'ca_cert'",
    ),
    _row(r"CERTIFICATE_VERIFY_FAILED", "its certificate does not hold: have it issued anew"),
    _row(
        r"ALERT_CERTIFICATE_REQUIRED|ALERT_HANDSHAKE_FAILURE",
        "it asks for a certificate of this client: give 'ssl_cert' and 'ssl_cert_key'",
    ),
    _row(r"ALERT_CERTIFICATE_EXPIRED", "the certificate of this client has expired: renew 'ssl_cert'"),
    _row(
        r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|DECRYPT_ERROR|ACCESS_DENIED)",
        "it does not accept the certificate of this client: give one of an authority that it trusts as "
        "'ssl_cert'",
    ),
    _row(
        r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|INSUFFICIENT_SECURITY",
        "it has no version of TLS or no cipher that this machine accepts: see its 'tls-protocols'",
    ),
    # The network
    _row(
        r"Name or service not known|Name does not resolve|nodename nor servname|No address associated",
        "its name is not known: correct it, or wait until it is",
        passes=True,
    ),
    _row(r"name resolution", "its name cannot be looked up: the name server does not answer", passes=True),
    _row(
        r"Too many open files",
        "this process may open no more connections: raise its limit of open files (ulimit -n)",
        passes=True,
    ),
    _row(r"Connection refused", "nobody listens there: start it, or correct host and port", passes=True),
    _row(r"No such file or directory", "there is no such socket: start it, or correct the path", passes=True),
    _row(r"Permission denied", "this user may not open its socket: see its 'unixsocketperm'", passes=False),
    _row(
        r"No route to host|Network is unreachable", "there is no way to it: correct the address", passes=True
    ),
    _row(
        r"Timeout connecting",
        "it does not answer: is the address right, and does a firewall let one through?",
        passes=True,
    ),
    _row(
        r"hangs up",
        "it hangs up on whoever connects: is it behind a proxy and not there yet, or full, or does it want "
        "another certificate?",
        passes=True,
    ),
    _row(r"Protocol [Ee]rror", "it does not speak the protocol of Redis: correct host and port"),
)


def advice_for(said: str) -> Advice | None:
    """Find the row of what was ``said``."""
    return next((row for row in TABLE if row.says.search(said)), None)
