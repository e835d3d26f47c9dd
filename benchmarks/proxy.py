"""Counts what clients send to a server, and what it answers, on the way."""

import asyncio
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple


class Traffic(NamedTuple):
    """What has passed so far."""

    requests: int
    """Pieces that clients have sent: what goes together is one round trip."""
    bytes: int
    """In both directions."""


class Proxy:
    """A process that passes connections on to a server, and counts."""

    def __init__(self, endpoint: str, pipe: Connection) -> None:
        self.endpoint = endpoint
        self._pipe = pipe

    def read(self) -> Traffic:
        """Return what has passed."""
        self._pipe.send(None)
        requests, size = self._pipe.recv()
        return Traffic(requests, size)


@contextmanager
def proxy(endpoint: str) -> Iterator[Proxy]:
    """Start a proxy in front of the server at ``endpoint``."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(endpoint, there), daemon=True)
    process.start()
    there.close()
    try:
        yield Proxy(here.recv(), here)
    finally:
        process.kill()
        process.join()


def _run(endpoint: str, pipe: Connection) -> None:
    # Two descriptors per connection, and nodes have several.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(endpoint, pipe))


async def _serve(endpoint: str, pipe: Connection) -> None:
    host, _, port = endpoint.rpartition(":")
    counted = Counter[str]()

    async def move(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: int) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                counted["requests"] += requests
                counted["bytes"] += len(data)
                writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(move(reader, back, 1), move(there, writer, 0))

    def tell() -> None:
        try:
            pipe.recv()
            pipe.send((counted["requests"], counted["bytes"]))
        except (EOFError, OSError):
            ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(connect, "127.0.0.1", backlog=4096)
    asyncio.get_running_loop().add_reader(pipe.fileno(), tell)
    pipe.send(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await ended.wait()
