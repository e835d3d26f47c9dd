"""What docs/security.md says of TLS and users, as written."""

from pathlib import Path

import pytest

from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.ports.serving import free_port
from rendezvous_redis import RedisServer
from tests.docs.steps import Shell, read_blocks, read_commands
from tests.redis.servers import server_of
from tests.support.intruder import SECRET
from tests.support.tls import Certificates

_BLOCKS = read_blocks("security.md")
(CONFIGURATION,) = (block.text for block in _BLOCKS if block.file == "redis.conf")
(COMMANDS,) = (
    [command for command, _ in read_commands(block.text)]
    for block in _BLOCKS
    if block.language == "console" and "rediss://" in block.text
)


def test_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed by a node; a run with a secret needs no more than it grants, and nobody else comes in."""
    port = str(free_port())
    name = f"127.0.0.1:{port}"
    Certificates(tmp_path).issue_as({"server": "127.0.0.1", "node": "node.example"})
    lines = CONFIGURATION.replace("6380", port).splitlines()
    monkeypatch.setenv("RENDEZVOUS_SECRET", SECRET)
    with RedisServer(binary=server_of("system"), data_dir=tmp_path, config=lines):
        shell = Shell(tmp_path)
        try:
            for command in COMMANDS:
                shell.run(command.replace("redis.example:6380", name))
        finally:
            shell.close()
        monkeypatch.chdir(tmp_path)
        mine = {"ca_cert": "ca.pem", "ssl_cert": "node.pem", "ssl_cert_key": "node.key"}
        user = {"user": "node", "password": "a-long-password"}
        everything = {**mine, **user, "seal_store": "true"}
        params = RendezvousParameters("redis", f"rediss://{name}", "run", 1, 1, "127.0.0.1", **everything)
        handler = get_rendezvous_handler(params)
        assert handler.next_rendezvous().store.add("count", 2) == 2
        assert handler.shutdown()
        for lacking in ({"ca_cert": "ca.pem", **user}, mine, {**mine, **user, "password": "guessed"}):
            params = RendezvousParameters(
                "redis", f"rediss://{name}", "run", 1, 1, connect_timeout="1", **lacking
            )
            with pytest.raises(RendezvousError):
                get_rendezvous_handler(params)
