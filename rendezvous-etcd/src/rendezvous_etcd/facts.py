"""What a member tells about itself to anybody, over HTTP: its version and, in whole seconds, its time."""

import http
import http.client
import json
import ssl
from email.utils import parsedate_to_datetime
from importlib.metadata import version

from rendezvous_core import RendezvousConnectionError, ServerFacts
from rendezvous_etcd.options import Connection

PATH = "/version"
_PATIENCE = 5.0


def ask_for_facts(connection: Connection, client: str) -> ServerFacts | None:
    """Ask the members in turn; ``client`` is the distribution that speaks with them otherwise.

    ``None`` if what is asked knows of no version, such as etcd's gRPC proxy.

    Raises:
        RendezvousConnectionError: none of them answers, or one tells something else.
    """
    context = _tls(connection) if connection.secure else None
    problem: Exception | None = None
    for host, port in connection.endpoints:
        asked = (
            http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
            if context
            else http.client.HTTPConnection(host, port, timeout=_PATIENCE)
        )
        try:
            asked.request("GET", PATH)
            response = asked.getresponse()
            if response.status == http.HTTPStatus.NOT_FOUND:
                return None
            return read_facts(response.read(), response.headers.get("Date"), client)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = error
        finally:
            asked.close()
    raise RendezvousConnectionError(f"The etcd cluster does not tell its version: {problem}") from problem


def read_facts(answer: bytes, date: str | None, client: str) -> ServerFacts:
    """Read what was answered to `PATH`; raises ``ValueError`` where it is something else."""
    told = json.loads(answer)
    server = told.get("etcdserver") if isinstance(told, dict) else None
    if not isinstance(server, str):
        raise ValueError(f"{answer!r:.80} names no version")
    # The header is cut off at the second: in the middle of it the error is least.
    clock = parsedate_to_datetime(date).timestamp() + 0.5 if date else None
    return ServerFacts(f"etcd {server}", f"{client} {version(client)}", clock, 0.5)


def _tls(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=connection.ca_cert)
    if connection.ssl_cert:
        context.load_cert_chain(connection.ssl_cert, connection.ssl_cert_key)
    return context
