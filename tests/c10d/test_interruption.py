"""Calls over a TCPStore, interrupted at every line."""

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

import pytest
import torch.distributed as dist

from rendezvous_c10d import C10dRendezvousBackend
from rendezvous_c10d._c10d_store import C10dStore
from rendezvous_core import RendezvousTimeout
from rendezvous_core.dynamic.handler import DynamicRendezvousHandler
from tests.c10d.servers import TcpStoreServer
from tests.interruption.suite import OPTIONS, CreateHandler, Interruptions


class _Backend(C10dRendezvousBackend):
    """Closes its store, as one does that opened it."""

    def close(self) -> None:
        super().close()
        self._store.close()


class TestC10d(Interruptions):
    always: ClassVar = frozenset({"KeyboardInterrupt"})

    @pytest.fixture(scope="class")
    @classmethod
    def create(cls) -> Iterator[CreateHandler]:
        """All runs on one server, over one handle of torch's: both take long to make."""
        server = TcpStoreServer()
        handle = dist.TCPStore(
            "127.0.0.1", server.port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=60)
        )

        def create(run_id: str, nodes: int, join: float) -> DynamicRendezvousHandler:
            store = C10dStore(handle, is_shared=False)
            return DynamicRendezvousHandler.from_backend(
                run_id,
                store,
                _Backend(store, run_id),
                nodes,
                nodes,
                "localhost",
                RendezvousTimeout(
                    join=timedelta(seconds=join),
                    last_call=timedelta(seconds=OPTIONS["last_call_timeout"]),
                    close=timedelta(seconds=OPTIONS["close_timeout"]),
                ),
                keep_alive_interval=OPTIONS["keep_alive_interval"],
            )

        yield create
        server.stop()
