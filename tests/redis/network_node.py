"""One node on a machine of its own: meets the other, and reaches it at the address of the round."""

import json
import socket
import sys

from rendezvous_core import RendezvousError, RendezvousParameters, get_rendezvous_handler

endpoint, local_addr = sys.argv[1:3]
options = {"join_timeout": 60, "last_call_timeout": 1}
params = RendezvousParameters("redis", endpoint, "run", 2, 2, local_addr or None, **options)
handler = get_rendezvous_handler(params)
info = handler.next_rendezvous()
told: dict[str, object] = {"rank": info.rank}
try:
    place = info.bootstrap_store_info
    told["address"] = place.master_addr
    if info.rank == 0:
        family = socket.AF_INET6 if ":" in place.master_addr else socket.AF_INET
        with socket.create_server(("", place.master_port), family=family) as server:
            info.store.set("listening", b"1")
            info.store.wait(["reached"], 60)
    else:
        info.store.wait(["listening"], 60)
        socket.create_connection((place.master_addr, place.master_port), 30).close()
except RendezvousError as error:
    told["error"] = str(error)
finally:
    if info.rank != 0:
        info.store.set("reached", b"1")
print(json.dumps(told))
handler.leave(done=True)
