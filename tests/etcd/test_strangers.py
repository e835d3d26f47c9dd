"""What strangers write below a run, of whatever form and in whatever order, wedges nobody."""

import itertools
import os
import uuid
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousParameters, RendezvousStateError
from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.dynamic.performing import Performer
from rendezvous_core.plugins.ranks import keep_ranks
from rendezvous_core.protocol.node import Node
from rendezvous_core.protocol.operations import Rest, Wait, Write
from rendezvous_core.records.codec import decode_state
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Settings
from rendezvous_core.records.terms import Terms, Timing
from rendezvous_etcd import Etcd3RendezvousBackend, EtcdServer, create_backend
from rendezvous_etcd.v3.operations import delete, prefix_end, put
from rendezvous_etcd.v3.store import Etcd3Store

PERIOD = 5.0
OLDER, STEPS = 3, 12
"""So many operations a coordinator performs until there is a state, and until nothing new happens."""


@pytest.fixture
def backend(server: EtcdServer) -> Iterator[Etcd3RendezvousBackend]:
    params = RendezvousParameters("etcd-v3", server.get_endpoint(), uuid.uuid4().hex, 1, 1)
    backend, _ = create_backend(params)
    assert isinstance(backend, Etcd3RendezvousBackend)
    with closing(backend):
        yield backend


class Watched:
    """A coordinator whose operations are performed one by one, by a clock that nothing but its waits move."""

    def __init__(self, backend: Etcd3RendezvousBackend) -> None:
        self.backend = backend
        member = Member(node="node", address="127.0.0.1", pid=1, dead_after=3 * PERIOD)
        numbers = itertools.count()
        timing = Timing(PERIOD, 3, 0.0)
        self.node = Node(
            member, Terms("run", Settings(1, 1), timing, keep_ranks), lambda: f"id-{next(numbers)}"
        )
        self.node.ask()
        self.written: list[float] = []
        """When states were written."""
        self._steps = self.node.live()
        self._performer = Performer(backend, Ledgers(Etcd3Store.of_run(backend), "run"), PERIOD)
        self._operation = next(self._steps)

    def step(self) -> None:
        """Perform one operation; where nothing has changed, a wait takes as long as it may."""
        operation = self._operation
        if isinstance(operation, Wait):
            changed = self._performer.perform(Wait(operation.token, operation.members, 0.0))
            self.node.now += 0.0 if changed else operation.timeout
            answer: object = changed
        elif isinstance(operation, Rest):
            self.node.now += operation.seconds
            answer = None
        else:
            answer = self._performer.perform(operation)
            if isinstance(operation, Write) and isinstance(answer, tuple) and answer[2]:
                self.written.append(self.node.now)
        self._operation = self._steps.send(answer)


@pytest.mark.parametrize("names", [("state", "token"), ("token", "state")])
def test_parts_of_a_state_stop_no_coordinator(
    backend: Etcd3RendezvousBackend, names: tuple[str, str]
) -> None:
    """A stranger writes an older state and a token, one after the other, before any two of its operations.

    Within two of its periods it has written again, on top of that.
    """
    end = prefix_end(backend.path)
    for first, apart in itertools.product(range(OLDER + 1, STEPS), range(4)):
        backend.client.transact(rpc.TxnRequest(success=[delete(backend.path, end)]))
        watched, older = Watched(backend), b""
        for number in range(STEPS + 3):
            if number == OLDER:
                older = standing(backend)
            for name, moment in zip(names, (first, first + apart), strict=True):
                if moment == number:
                    overwrite(backend, name, older if name == "state" else os.urandom(8))
            watched.step()
        at, written = watched.node.now, len(watched.written)
        while watched.node.now <= at + 2 * PERIOD:
            watched.step()
        assert len(watched.written) > written, (first, apart)
        assert decode_state(standing(backend)).serial > decode_state(older).serial
        assert watched.node.joined


def test_names_and_values_of_strangers_are_passed_over(backend: Etcd3RendezvousBackend) -> None:
    """What is no text, in the v3 API."""
    backend.put_member("node", b"record", announce=True)
    overwrite(backend, b"who/\xff", b"12345678x")
    assert backend.members().records["node"] == b"record"
    assert len(backend.members().records) == 2


def test_a_value_that_is_none_is_told(server: EtcdServer) -> None:
    """In the v2 API, whose values are base64."""
    backend, store = create_backend(RendezvousParameters("etcd-v2", server.get_endpoint(), "run", 1, 1))
    with closing(backend):
        store.set("key", b"value")
        place = f"http://{server.get_endpoint()}/v2/keys/rendezvous/run/kv/{b64encode(b'key').decode()}"
        with urlopen(Request(place, urlencode({"value": "x"}).encode(), method="PUT"), timeout=30):
            pass
        for call in (
            lambda: store.get("key"),
            lambda: store.add("key", 1),
            lambda: store.multi_get(["key", "b"]),
        ):
            with pytest.raises(RendezvousStateError, match="holds no value of this library"):
                call()


def standing(backend: Etcd3RendezvousBackend) -> bytes:
    found = backend.get_state()
    assert found
    return found[0]


def overwrite(backend: Etcd3RendezvousBackend, name: str | bytes, value: bytes) -> None:
    """Write one key of the run, as somebody who knows nothing of the others."""
    key = backend.path + (name.encode() if isinstance(name, str) else name)
    backend.client.transact(rpc.TxnRequest(success=[put(key, value, 0)]))
