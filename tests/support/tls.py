"""TLS for servers that have none of their own: certificates, and a proxy that speaks it to the clients."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID


class Certificates:
    """An authority, and what it certifies, as files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self.ca_cert = str(folder / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_cert)

    def issue(self, name: str, user: str | None = None, **dates: datetime) -> tuple[str, str]:
        """Certify ``name``, as that of ``user``; returns the paths of the certificate and of its key.

        The certificate is good from ``not_before`` to ``not_after``, if they are given.
        """
        issued = self._authority.issue_cert(name, common_name=user, **dates)  # type: ignore[arg-type]
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)

    def issue_as(self, owners: Mapping[str, str]) -> None:
        """Certify each of the owners, in files of that name: ``<name>.pem`` and ``<name>.key``."""
        for name, owner in owners.items():
            for path in map(Path, self.issue(owner)):
                path.rename(path.with_stem(name))

    def issue_for_clients(self, address: str) -> tuple[str, str]:
        """Certify ``address`` for clients only, with the key of `issue`; returns the same."""
        certificate, key = map(Path, self.issue(address))
        issued = x509.load_pem_x509_certificate(certificate.read_bytes())
        builder = (
            x509.CertificateBuilder(issued.issuer, issued.subject, issued.public_key(), issued.serial_number)
            .not_valid_before(issued.not_valid_before_utc)
            .not_valid_after(issued.not_valid_after_utc)
        )
        for extension in issued.extensions:
            if not isinstance(extension.value, x509.ExtendedKeyUsage):
                builder = builder.add_extension(extension.value, extension.critical)
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        authority = load_pem_private_key(self._authority.private_key_pem.bytes(), None)
        signed = builder.add_extension(purpose, critical=True).sign(authority, hashes.SHA256())  # type: ignore[arg-type]
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        return str(certificate), str(key)

    def context(self, name: str, *, ask_clients: bool) -> ssl.SSLContext:
        """Return the context of a server that is called ``name``."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.issue(name))
        if ask_clients:
            context.load_verify_locations(self.ca_cert)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class TlsProxy:
    """Listens with TLS on a free port of the loopback interface, and passes on to ``host:port`` without."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._target = (host, port)
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, ssl_handshake_timeout=10)
        )
        self.host = "127.0.0.1"
        self.port: int = self._server.sockets[0].getsockname()[1]

    def __enter__(self) -> "TlsProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end(self) -> None:
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await task

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(*self._target)
        except OSError:
            to_client.close()
            return
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._pass_on(client, to_server, to_client))
            directions.create_task(self._pass_on(server, to_client, to_server))

    @staticmethod
    async def _pass_on(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, other: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()
        other.close()
