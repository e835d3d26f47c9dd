"""A TCPStore of one round, for what must connect to one at an address."""

import errno
from datetime import timedelta

from torch.distributed import TCPStore

from rendezvous_c10d._hosting import address_for, host_store
from rendezvous_core import RendezvousConnectionError, RendezvousInfo


def host_tcp_store(info: RendezvousInfo, timeout: timedelta = timedelta(minutes=5)) -> TCPStore:
    """Return a live TCPStore at ``info.bootstrap_store_info`` for all nodes of the round, over any backend.

    Rank 0 hosts it, the others connect to it and wait for that, at most ``timeout``, which is that of the
    store as well. It lives as long as what rank 0 gets; workers of any program find it at the address.

    Raises:
        RendezvousConnectionError: rank 0 cannot host it at that address, or does not do so in time.
    """
    where = info.bootstrap_store_info
    place = f"{where.master_addr}:{where.master_port}"
    try:
        if info.rank == 0:
            return host_store(address_for(where.master_addr), [where.master_port], timeout)
        return TCPStore(where.master_addr, where.master_port, is_master=False, timeout=timeout)
    except OSError as error:
        taken = "something else has taken the port meanwhile" if error.errno == errno.EADDRINUSE else error
        raise RendezvousConnectionError(
            f"Rank 0 cannot host a TCPStore at {place}: {taken}. Have the nodes meet again."
        ) from error
    except RuntimeError as error:  # torch's network errors
        raise RendezvousConnectionError(
            f"Rank 0 has no TCPStore at {place} for this round: {error}"
        ) from error
