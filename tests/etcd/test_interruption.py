"""Calls over etcd v3, interrupted at every line."""

import subprocess
from collections.abc import Iterator
from typing import ClassVar

import pytest

from rendezvous_etcd import EtcdServer
from tests.interruption.suite import CreateHandler, Interruptions, creator


class TestEtcdV3(Interruptions):
    always: ClassVar = frozenset({"KeyboardInterrupt"})

    @pytest.fixture(scope="class")
    @classmethod
    def create(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CreateHandler]:
        server = EtcdServer(tmp_path_factory.mktemp("etcd"))
        server.start(stderr=subprocess.DEVNULL)
        yield creator("etcd-v3", server.get_endpoint())
        server.stop()
