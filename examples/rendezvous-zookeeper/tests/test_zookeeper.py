"""What is ZooKeeper's own: sessions, users, several servers, and the limit of a node."""

import socket
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from kazoo.client import KazooClient
from rendezvous_zookeeper import Session, ZookeeperBackend, ZookeeperStore

from rendezvous_core import RendezvousConnectionError
from rendezvous_core.testing import Proxy

Open = Callable[..., ZookeeperBackend]


@pytest.fixture
def open_backend(zookeeper_link: Proxy) -> Iterator[Open]:
    run_id = uuid4().hex
    opened = []

    def open_backend(endpoint: str = zookeeper_link.endpoint, auth: str | None = None) -> ZookeeperBackend:
        opened.append(ZookeeperBackend(Session(endpoint, auth=auth), run_id))
        return opened[-1]

    yield open_backend
    for backend in opened:
        backend.close()


def expire(backend: ZookeeperBackend) -> None:
    """Have ZooKeeper forget the session, as after a long silence: somebody else ends it."""
    client = backend.session._client
    lost = client.handler.event_object()
    client.add_listener(lambda state: lost.set() if state == "LOST" else None)
    double = KazooClient(client.hosts[0][0] + f":{client.hosts[0][1]}", client_id=client.client_id)
    double.start()
    double.stop()
    double.close()
    assert lost.wait(20)


def test_a_record_goes_with_the_session_of_its_node(open_backend: Open) -> None:
    node, other = open_backend(), open_backend()
    node.put_member("one", b"1", announce=True)
    assert dict(other.members().records) == {"one": b"1"}
    node.close()
    assert not other.members().records


def test_a_node_whose_session_expired_goes_on(open_backend: Open) -> None:
    node, other = open_backend(), open_backend()
    node.put_member("one", b"1", announce=True)
    former = node.session.id
    expire(node)
    assert not other.members().records
    node.put_member("one", b"2", announce=True)
    assert node.session.id != former
    assert dict(other.members().records) == {"one": b"2"}


def test_a_record_of_a_former_session_is_put_anew(open_backend: Open) -> None:
    former, node, other = open_backend(), open_backend(), open_backend()
    former.put_member("one", b"1", announce=True)
    node.put_member("one", b"2", announce=True)
    former.close()
    assert dict(other.members().records) == {"one": b"2"}


def test_a_run_can_belong_to_a_user(open_backend: Open) -> None:
    open_backend(auth="user:secret").set_state(b"state")
    assert open_backend(auth="user:secret").get_state() is not None
    for stranger in (open_backend(), open_backend(auth="user:guess")):
        with pytest.raises(RendezvousConnectionError, match="auth"):
            stranger.get_state()


def test_one_of_several_servers_is_enough(open_backend: Open, zookeeper_link: Proxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        backend = open_backend(f"127.0.0.1:{nobody.getsockname()[1]},{zookeeper_link.endpoint}")
        assert backend.get_state() is None


def test_a_value_that_no_node_can_hold_is_refused(open_backend: Open) -> None:
    backend = open_backend()
    store = ZookeeperStore(backend.session, f"{backend.path}/store")
    with pytest.raises(ValueError, match="1000000 bytes"):
        backend.set_state(b"x" * 2**20)
    with pytest.raises(ValueError, match="1000000 bytes"):
        store.set("key", b"x" * 2**20)
    assert not store.check(["key"])
