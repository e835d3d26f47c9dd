"""One node of a group that takes part again and again, and tells what happens to it as JSON lines."""

import json
import sys
from typing import Any

from rendezvous_core import DynamicRendezvousHandler, RendezvousError, RendezvousParameters
from rendezvous_core import get_rendezvous_handler as create


def tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def work(options: dict[str, Any]) -> None:
    handler = create(RendezvousParameters(**{"backend": "sqlite", "local_addr": "127.0.0.1", **options}))
    assert isinstance(handler, DynamicRendezvousHandler)
    node = handler.node_id
    while True:
        tell("asked", node=node)
        info = handler.next_rendezvous()
        joined = handler.joined
        assert joined is not None
        # Whoever takes a rank of a round that another node holds is found out here, even if that one died.
        holder = info.store.compare_set(f"rank {info.rank}", "", node).decode()
        tell("joined", node=node, holder=holder, **joined._asdict())
        if handler.wait_for_membership_change():
            tell("changed", node=node, waiting=handler.num_nodes_waiting())


try:
    work(json.loads(sys.argv[1]))
except RendezvousError as error:
    tell("error", kind=type(error).__name__, text=str(error))
    sys.exit(1)
