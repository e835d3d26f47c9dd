"""What a wait makes of the entries that it finds in the stream of news, whoever wrote them."""

import pytest

from rendezvous_core.testing.suites.checks import found, written
from rendezvous_redis import RedisRendezvousBackend, RedisServer
from tests.redis.conftest import OpenRun
from tests.redis.groups import ask

NONCE = "0" * 32


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(("n", NONCE), id="of a former version"),
        pytest.param(("n", "short", "data", "state"), id="no token"),
        pytest.param(("data", "state", "n", NONCE), id="swapped"),
        pytest.param(("n", NONCE, "data", "state", "n", NONCE), id="more"),
    ],
)
def test_entry_that_tells_no_state_says_that_there_are_news(
    shared_server: RedisServer, open_run: OpenRun, fields: tuple[str, ...]
) -> None:
    run = open_run(shared_server.endpoint)
    backend = RedisRendezvousBackend(run)
    _, token = written(backend.set_state(b"state"))
    ask(shared_server, "XADD", run.keys.news, "*", *fields)
    assert backend.wait_for_change(token, 60) is True


def test_wait_tells_the_latest_of_several_states(shared_server: RedisServer, open_run: OpenRun) -> None:
    backend = RedisRendezvousBackend(open_run(shared_server.endpoint))
    _, first = written(backend.set_state(b"first"))
    _, token = written(backend.set_state(b"second", first))
    written(backend.set_state(b"third", token))
    assert backend.wait_for_change(first, 60)
    ask(shared_server, "HSET", backend.run.keys.state, "token", first)  # so that the stream alone tells
    news = backend.wait_for_change(first, 60)
    assert isinstance(news, tuple)
    assert news[0] == b"third"
    ask(shared_server, "HSET", backend.run.keys.state, "token", news[1])
    assert found(backend) == news
