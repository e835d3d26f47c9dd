"""What docs/security.md says of users, as written."""

import re

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from tests.etcd.servers import etcdctl, served
from tests.support.intruder import PAGE, SECRET


def test_a_run_with_a_secret_needs_no_more_than_the_page_grants() -> None:
    commands = re.findall(r"^\$ etcdctl (.*)", PAGE.read_text(), re.MULTILINE)
    (password,) = (command.rpartition(":")[2] for command in commands if command.startswith("user add"))
    with served() as server:
        for command in (*commands, "user add root:root", "user grant-role root root", "auth enable"):
            etcdctl(server, *command.split())
        options = {"user": "node", "password": password, "secret": SECRET, "seal_store": "true"}
        params = RendezvousParameters("etcd-v3", server.get_endpoint(), "run", 1, 1, "127.0.0.1", **options)
        handler = get_rendezvous_handler(params)
        info = handler.next_rendezvous()
        assert info.store.add("count", 2) == 2
        assert handler.shutdown()
