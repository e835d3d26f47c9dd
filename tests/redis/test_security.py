"""What docs/security.md says of users, as written."""

import re
from typing import Any

import pytest
from redis import Redis

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from rendezvous_redis import RedisServer
from tests.support.intruder import PAGE, SECRET


def test_a_run_with_a_secret_needs_no_more_than_the_page_grants(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PAGE.read_text()
    command = re.search(r"^ACL SETUSER .*", text, re.MULTILINE)
    variables = re.findall(r"(RENDEZVOUS_REDIS_\w+)=(\w+)", text)
    assert command
    assert [name for name, _ in variables] == ["RENDEZVOUS_REDIS_USER", "RENDEZVOUS_REDIS_PASSWORD"]
    for name, value in variables:
        monkeypatch.setenv(name, value)
    host, _, port = own_server.endpoint.rpartition(":")
    admin: Any = Redis(host, int(port))
    admin.execute_command(*command[0].split())
    options = {"secret": SECRET, "seal_store": "true"}
    params = RendezvousParameters("redis", own_server.endpoint, "run", 1, 1, "127.0.0.1", **options)
    handler = get_rendezvous_handler(params)
    info = handler.next_rendezvous()
    assert info.store.add("count", 2) == 2
    assert handler.shutdown()
    assert not admin.acl_log()
