"""What a long run leaves behind in the memory of its host: nothing but its last two rounds."""

from collections.abc import Iterator

import pytest

from rendezvous_c10d import create_backend
from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing.suites.threads import together
from tests.c10d.agents import until
from tests.c10d.servers import TcpStoreServer

PATIENCE = 60.0


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = TcpStoreServer()
    yield server.endpoint
    server.stop()


def params(endpoint: str, address: str) -> RendezvousParameters:
    return RendezvousParameters("c10d", endpoint, "run", 2, 2, address, is_host=False)


def test_the_stores_of_rounds_that_are_two_behind_are_forgotten(endpoint: str) -> None:
    """With all that workers have written there, more than goes into one message."""
    backend, store = create_backend(params(endpoint, "127.0.0.9"))

    def rounds() -> set[str]:
        keys = store.list_keys()
        return {key.split("/")[2] for key in keys if key.startswith("rendezvous/") and "/mine/" in key}

    rounds()  # is there a list at all in this version of torch?
    handlers = [get_rendezvous_handler(params(endpoint, f"127.0.0.{number}")) for number in (2, 3)]
    sizes = []
    for number in range(5):
        for info in together([handler.next_rendezvous for handler in handlers], PATIENCE):
            names = [f"mine/{info.rank}/{each}" for each in range(400)]
            info.store.multi_set(names, names)
        expected = {str(number), str(max(0, number - 1))}
        until(lambda expected=expected: rounds() == expected, f"the end of what is before {expected}")  # type: ignore[misc]
        sizes.append(store.num_keys())
    assert sizes[4] < sizes[1] + 100, "each round brings 800 keys"
    for handler in handlers:
        handler.shutdown()
    backend.close()
