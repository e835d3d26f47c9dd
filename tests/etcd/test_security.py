"""What docs/security.md says of TLS and users, as written."""

from pathlib import Path

import pytest

from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler
from rendezvous_etcd import EtcdServer
from tests.docs.steps import Shell, read_blocks, read_commands
from tests.support.intruder import SECRET
from tests.support.tls import Certificates

COMMANDS = [
    command
    for block in read_blocks("security.md")
    if block.language == "console" and "etcd" in block.text
    for command, _ in read_commands(block.text)
]
((_, *FLAGS),) = (command.split() for command in COMMANDS if command.startswith("etcd "))


def test_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed by an operator and a node; a run with a secret needs no more, and nobody else comes in."""
    owners = {
        "server": "127.0.0.1",
        "node": "node.example",
        "admin": "admin.example",
        "named": "named.example",
    }
    certificates = Certificates(tmp_path)
    certificates.issue_as(owners)
    _, key = certificates.issue("by-name.example", "node")
    monkeypatch.chdir(tmp_path)  # where the files are that the flags name
    monkeypatch.setenv("RENDEZVOUS_SECRET", SECRET)
    server = EtcdServer(tmp_path / "data", FLAGS)
    server.start()
    try:
        endpoint = server.get_endpoint()
        shell = Shell(tmp_path)
        try:
            for command in COMMANDS:
                if not command.startswith("etcd "):
                    shell.run(command.replace("etcd.example:2379", endpoint))
        finally:
            shell.close()
        mine = {"ca_cert": "ca.pem", "ssl_cert": "node.pem", "ssl_cert_key": "node.key"}
        by_name = {**mine, "ssl_cert": "by-name.example.pem", "ssl_cert_key": key}
        user = {"user": "node", "password": "a-long-password"}
        for given in ({**mine, **user}, by_name):
            options = {**given, "seal_store": "true"}
            params = RendezvousParameters(
                "etcd-v3", endpoint, f"run-{len(given)}", 1, 1, "127.0.0.1", **options
            )
            handler = get_rendezvous_handler(params)
            assert handler.next_rendezvous().store.add("count", 2) == 2
            assert handler.shutdown()
        for lacking in ({"ca_cert": "ca.pem", **user}, mine, {**mine, **user, "password": "guessed"}):
            params = RendezvousParameters("etcd-v3", endpoint, "run", 1, 1, connect_timeout="1", **lacking)
            with pytest.raises(RendezvousError):
                get_rendezvous_handler(params)
    finally:
        server.stop()
