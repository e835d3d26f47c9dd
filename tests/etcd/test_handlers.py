"""Handlers over each API pass the kit."""

from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import HandlerSuite
from rendezvous_etcd import EtcdRendezvousHandler, EtcdServer
from rendezvous_etcd.legacy import joining, membership
from tests.etcd.servers import OnServer


class OnEtcd(OnServer):
    backend: ClassVar[str]

    @pytest.fixture
    def handler_factory(self, server: EtcdServer) -> Callable[..., RendezvousHandler]:
        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            return get_rendezvous_handler(
                RendezvousParameters(
                    self.backend,
                    server.get_endpoint(),
                    run_id,
                    min_nodes,
                    max_nodes,
                    read_timeout=2,
                    **options,
                )
            )

        return create


class TestEtcdV3(OnEtcd, HandlerSuite):
    backend = "etcd-v3"


class TestEtcdV2(OnEtcd, HandlerSuite):
    backend = "etcd-v2"


class TestEtcd(OnEtcd, HandlerSuite):
    """A new round begins only when the rank of a node that is gone has expired (10 s; here 4)."""

    backend = "etcd"
    patience = 40.0

    @pytest.fixture(autouse=True)
    @staticmethod
    def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (membership, joining):
            monkeypatch.setattr(module, "RANK_TTL", 4)

    lacks: ClassVar = {
        "spares": "who comes to a full round calls everybody to a new one",
        "leave": "a node can only fall silent",
        "settings": "there is no place for them in the protocol",
    }

    @pytest.fixture
    def crash(self) -> Callable[[RendezvousHandler], object]:
        return lambda handler: cast("EtcdRendezvousHandler", handler)._rendezvous.leave()
