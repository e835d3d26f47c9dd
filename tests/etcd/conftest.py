"""What most tests start from."""

from collections.abc import Iterator

import pytest

from rendezvous_etcd import EtcdServer
from tests.etcd.servers import served


@pytest.fixture(scope="module")
def server() -> Iterator[EtcdServer]:
    """One for the tests of a module."""
    with served() as server:
        yield server
