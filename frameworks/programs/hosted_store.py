"""A live TCPStore for whatever needs one: ``host_tcp_store``."""

import sys
from datetime import timedelta

from torch.distributed import TCPStore

from frameworks.programs.work import work
from rendezvous_c10d import host_tcp_store
from rendezvous_core import (
    RendezvousConnectionError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    get_rendezvous_handler,
)


class Changed(Exception):
    """Another round is called for."""


class Exchange:
    """Sums over all participants of a round, through its TCPStore."""

    def __init__(self, handler: RendezvousHandler, info: RendezvousInfo, store: TCPStore) -> None:
        self._handler, self._rank, self._store = handler, info.rank, store
        self._keys = [str(rank) for rank in range(info.world_size)]

    def total(self, value: int) -> float:
        """Sum over all."""
        while not self._handler.num_nodes_waiting():
            try:
                self._store.set(self._keys[self._rank], str(value))
                self._store.wait(self._keys, timedelta(seconds=1))
            except RuntimeError:  # somebody is not there yet, or the store has gone with its host
                continue
            return float(sum(int(each) for each in self._store.multi_get(self._keys)))
        raise Changed


def main(path: str, conf: str) -> None:
    """Work in one round after the other."""
    options = dict(pair.split("=") for pair in conf.split(","))
    params = RendezvousParameters("sqlite", path, "job", 1, 2, "127.0.0.1", **options)
    with get_rendezvous_handler(params) as handler:
        while True:
            info = handler.next_rendezvous()
            try:
                store = host_tcp_store(info)
                work(info.rank, info.world_size, Exchange(handler, info, store).total)
            except (Changed, RendezvousConnectionError):
                continue
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
