"""Every operation of backend and store: what it returns and does, as ever and where the server is empty."""

import uuid
from collections.abc import Callable

from rendezvous_core import QueueEmptyError, RendezvousTimeoutError, Token
from rendezvous_redis import RedisRendezvousBackend, RedisRun, RedisStore

MOMENT = 0.3


class Client:
    """A run with something of each kind in it."""

    def __init__(self, endpoint: str) -> None:
        self.run = RedisRun(endpoint, uuid.uuid4().hex)
        self.backend = RedisRendezvousBackend(self.run)
        self.store = RedisStore(self.run)
        written = self.backend.set_state(b"state")
        assert written
        self.token: Token = written[1]
        self.backend.put_member("node", b"record", announce=True)
        self.store.multi_set(["key", "number"], [b"old", b"1"])
        self.store.queue_push("queue", b"one")

    def state(self) -> bytes | None:
        found = self.backend.get_state()
        return found and found[0]

    def members(self) -> dict[str, bytes]:
        return dict(self.backend.members().records)

    def values(self) -> tuple[bool, list[str]]:
        return self.store.check(["key"]), self.store.list_keys()


Operation = tuple[
    Callable[[Client], object],
    Callable[[Client], object],
    tuple[object, object],
    tuple[object, object],
]
"""What is called; how to see afterwards what it did; both as ever; both where the server is empty."""

OPERATIONS: dict[str, Operation] = {
    "get_state": (Client.state, Client.state, (b"state", b"state"), (None, None)),
    "set_state": (
        lambda client: (written := client.backend.set_state(b"new", client.token)) and written[2],
        Client.state,
        (True, b"new"),
        (None, None),
    ),
    "put_member": (
        lambda client: client.backend.put_member("other", b"new", announce=True),
        Client.members,
        (None, {"node": b"record", "other": b"new"}),
        (None, {"other": b"new"}),
    ),
    "remove_member": (
        lambda client: client.backend.remove_member("node"),
        Client.members,
        (None, {}),
        (None, {}),
    ),
    "members": (
        Client.members,
        Client.members,
        ({"node": b"record"}, {"node": b"record"}),
        ({}, {}),
    ),
    "wait_for_change": (
        lambda client: client.backend.wait_for_change(client.token, MOMENT),
        Client.state,
        (False, b"state"),
        (True, None),
    ),
    "set": (
        lambda client: client.store.set("key", b"new"),
        lambda client: client.store.get("key"),
        (None, b"new"),
        (None, b"new"),
    ),
    "multi_set": (
        lambda client: client.store.multi_set(["key", "other"], [b"new", b"other"]),
        lambda client: client.store.multi_get(["key", "other"]),
        (None, [b"new", b"other"]),
        (None, [b"new", b"other"]),
    ),
    "get": (
        lambda client: client.store.get("key"),
        Client.values,
        (b"old", (True, ["key", "number"])),
        (RendezvousTimeoutError, (False, [])),
    ),
    "multi_get": (
        lambda client: client.store.multi_get(["number", "key"]),
        Client.values,
        ([b"1", b"old"], (True, ["key", "number"])),
        (RendezvousTimeoutError, (False, [])),
    ),
    "add": (
        lambda client: client.store.add("number", 5),
        lambda client: client.store.get("number"),
        (6, b"6"),
        (5, b"5"),
    ),
    "append": (
        lambda client: client.store.append("key", b"er"),
        lambda client: client.store.get("key"),
        (None, b"older"),
        (None, b"er"),
    ),
    "compare_set": (
        lambda client: client.store.compare_set("key", b"old", b"new"),
        lambda client: client.store.check(["key"]) and client.store.get("key"),
        (b"new", b"new"),
        (b"old", False),
    ),
    "check": (
        lambda client: client.store.check(["key"]),
        Client.values,
        (True, (True, ["key", "number"])),
        (False, (False, [])),
    ),
    "wait": (
        lambda client: client.store.wait(["key"]),
        Client.values,
        (None, (True, ["key", "number"])),
        (RendezvousTimeoutError, (False, [])),
    ),
    "delete_key": (
        lambda client: client.store.delete_key("key"),
        Client.values,
        (True, (False, ["number"])),
        (False, (False, [])),
    ),
    "num_keys": (
        lambda client: client.store.num_keys(),
        Client.values,
        (2, (True, ["key", "number"])),
        (0, (False, [])),
    ),
    "list_keys": (
        lambda client: client.store.list_keys(),
        Client.values,
        (["key", "number"], (True, ["key", "number"])),
        ([], (False, [])),
    ),
    "queue_push": (
        lambda client: client.store.queue_push("queue", b"two"),
        lambda client: client.store.queue_len("queue"),
        (None, 2),
        (None, 1),
    ),
    "queue_pop": (
        lambda client: client.store.queue_pop("queue", block=False),
        lambda client: client.store.queue_len("queue"),
        (b"one", 0),
        (QueueEmptyError, 0),
    ),
    "queue_len": (
        lambda client: client.store.queue_len("queue"),
        lambda client: client.store.queue_len("queue"),
        (1, 1),
        (0, 0),
    ),
}
OF_BACKENDS = {"get_state", "set_state", "put_member", "remove_member", "members", "wait_for_change"}
AS_EVER = {name: as_ever for name, (_, _, as_ever, _) in OPERATIONS.items()}
EMPTY = {name: empty for name, (_, _, _, empty) in OPERATIONS.items()}
