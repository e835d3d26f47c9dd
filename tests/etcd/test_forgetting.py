"""What past rounds have stored goes while the run lives on."""

import uuid

import pytest

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from rendezvous_etcd import EtcdServer, create_backend
from tests.etcd.waiting import until

APIS = pytest.mark.parametrize("backend", ["etcd-v3", "etcd-v2"])


@APIS
def test_a_prefix_is_forgotten(server: EtcdServer, backend: str) -> None:
    """With all below it, and nothing beside it."""
    run, store = create_backend(
        RendezvousParameters(backend, server.get_endpoint(), uuid.uuid4().hex, 1, 1, "localhost")
    )
    kept = ["a", "a/b", "a/bc", "a/b0", "a/c/d", "b/c"]
    gone = ["a/b/", "a/b/c", "a/b/c/d", "a/b/\u00fc\u0394/\U0001f600"]
    store.multi_set([*kept, *gone], [b"value"] * (len(kept) + len(gone)))
    store.forget("a/b")
    assert sorted(store.list_keys()) == sorted(kept)
    store.forget("nothing")
    assert store.num_keys() == len(kept)
    run.close()


@APIS
def test_past_rounds_are_forgotten(server: EtcdServer, backend: str) -> None:
    params = RendezvousParameters(backend, server.get_endpoint(), uuid.uuid4().hex, 1, 1, "localhost")
    handler = get_rendezvous_handler(params)
    run, store = create_backend(params)
    for number in range(6):
        ours = handler.next_rendezvous().store
        ours.multi_set([f"key{each}" for each in range(20)], [b"%d" % number] * 20)
    until(lambda: store.num_keys() < 3 * 20)
    assert ours.get("key0") == b"5"
    run.close()
    handler.shutdown()
