"""A server that the tests of one process share, and clients that are closed at the end."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rendezvous_redis import RedisOptions, RedisRun, RedisServer
from tests.redis.servers import server_of

OpenRun = Callable[..., RedisRun]


@pytest.fixture(scope="session")
def binary() -> Path:
    """The program of the server that most tests run on."""
    return server_of("valkey")


@pytest.fixture(scope="session")
def shared_server(binary: Path) -> Iterator[RedisServer]:
    """A server that nobody stops or changes."""
    with RedisServer(binary=binary) as server:
        yield server


@pytest.fixture
def own_server(binary: Path) -> Iterator[RedisServer]:
    """A server that the test may do anything to."""
    with RedisServer(binary=binary) as server:
        yield server


@pytest.fixture
def run_id() -> str:
    """A run that nobody has used before."""
    return uuid.uuid4().hex


@pytest.fixture
def open_run(run_id: str) -> Iterator[OpenRun]:
    """Open clients of this test's run at an endpoint, with any options."""
    opened: list[RedisRun] = []

    def open_run(endpoint: str, **options: object) -> RedisRun:
        opened.append(RedisRun(endpoint, run_id, RedisOptions(**options)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_run
    for run in opened:
        run.close()
