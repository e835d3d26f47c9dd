"""Whatever can be done with a run."""

import threading

from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisStore


def use(run: RedisRun) -> None:
    """Do everything once."""
    backend, store = RedisRendezvousBackend(run), RedisStore(run)
    assert backend.get_state() is None
    written = backend.set_state(b"state")
    assert written
    view = store.view("view")
    backend.put_member("node", b"record", announce=True)
    assert view.num_keys() == 0
    members = backend.members()
    backend.wait_for_change(written[1], 0.01, members.token)
    backend.remove_member("node")
    waiting = threading.Thread(target=store.get, args=("key",), daemon=True)
    waiting.start()
    store.set("key", b"value")
    waiting.join(30)
    assert not waiting.is_alive()
    store.add("number", 1)
    store.append("key", b"more")
    store.compare_set("key", b"other", b"new")
    store.multi_get(["key", "number"])
    assert store.check(["key"])
    assert store.delete_key("key")
    assert store.num_keys() == len(store.list_keys()) == 1
    store.queue_push("queue", b"item")
    assert store.queue_len("queue") == 1
    store.queue_pop("queue")
