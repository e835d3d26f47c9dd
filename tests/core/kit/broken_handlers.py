"""Handlers that break the contract. No test of this project runs here: see test_kit.py."""

from collections.abc import Callable
from typing import Any

import pytest

from rendezvous_core import (
    RendezvousClosedError,
    RendezvousGracefulExitError,
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousTimeoutError,
    Store,
)
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.testing import HandlerSuite, MemoryBackend, MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import start
from tests.core.kit.breaking import Broken


class Wrapped(RendezvousHandler):
    """Passes everything on to a handler that works."""

    def __init__(self, server: MemoryServer, params: RendezvousParameters) -> None:
        self.server, self.params = server, params
        self.handler = self._create()

    def _create(self) -> Any:
        run_id = self.params.run_id
        return create_handler(
            MemoryStore(self.server, run_id), MemoryBackend(self.server, run_id), self.params
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)

    def get_backend(self) -> str:
        return str(self.handler.get_backend())

    def get_run_id(self) -> str:
        return str(self.handler.get_run_id())

    def next_rendezvous(self) -> RendezvousInfo:
        info: RendezvousInfo = self.handler.next_rendezvous()
        return info

    def is_closed(self) -> bool:
        return bool(self.handler.is_closed())

    def set_closed(self) -> None:
        self.handler.set_closed()

    def num_nodes_waiting(self) -> int:
        return int(self.handler.num_nodes_waiting())

    def leave(self, *, done: bool = False) -> bool:
        return bool(self.handler.leave(done=done))

    def shutdown(self) -> bool:
        return bool(self.handler.shutdown())


def suite(broken: type) -> type[HandlerSuite]:
    class MemorySuite(HandlerSuite):
        keep_alive_interval = 0.05

        @pytest.fixture
        def handler_factory(self) -> Callable[..., RendezvousHandler]:
            server = MemoryServer()

            def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
                params = RendezvousParameters("memory", "", run_id, min_nodes, max_nodes, **options)
                handler: RendezvousHandler = broken(server, params)
                return handler

            return create

    return MemorySuite


BROKEN = Broken(suite)
caught_by = BROKEN.caught_by


@caught_by("test_group[2]", "test_too_few_nodes_wait")
class EverybodyIsFirst(Wrapped):
    def next_rendezvous(self) -> RendezvousInfo:
        info = super().next_rendezvous()
        return RendezvousInfo(info.store, 0, info.world_size, lambda: info.bootstrap_store_info)


class Swapped(Wrapped):
    """Hands out another store than that of the round."""

    def store(self) -> Store:
        raise NotImplementedError

    def next_rendezvous(self) -> RendezvousInfo:
        info = super().next_rendezvous()
        return RendezvousInfo(self.store(), info.rank, info.world_size, lambda: info.bootstrap_store_info)


@caught_by("test_rounds")
class OneStoreForAllRounds(Swapped):
    def store(self) -> Store:
        return MemoryStore(self.server, self.params.run_id)


@caught_by("test_runs_are_apart")
class OneStoreForAllRuns(Swapped):
    def store(self) -> Store:
        return MemoryStore(self.server, "all")


@caught_by("test_group[2]", "test_large_group")
class AStoreForEach(Swapped):
    def store(self) -> Store:
        store = MemoryStore(self.server, self.node_id)
        store.set_timeout(0.1)
        return store


@caught_by("test_runs_are_apart")
class OneRun(Wrapped):
    def _create(self) -> Any:
        self.params.run_id = self.params.run_id.partition("/")[0]
        return super()._create()


@caught_by("test_too_few_nodes_wait")
class DoesNotWaitForOthers(Wrapped):
    def _create(self) -> Any:
        self.params.min_nodes, self.params.config["last_call_timeout"] = 1, 0.001
        return super()._create()


@caught_by("test_full_group_does_not_wait")
class WaitsThoughFull(Wrapped):
    def _create(self) -> Any:
        self.params.max_nodes += 1
        return super()._create()


@caught_by("test_last_call")
class WaitsForTheLast(Wrapped):
    def _create(self) -> Any:
        self.params.min_nodes = self.params.max_nodes
        return super()._create()


@caught_by("test_newcomer", "test_spare", "test_leave", "test_death[first]")
class NobodyEverWaits(Wrapped):
    def num_nodes_waiting(self) -> int:
        return 0


@caught_by("test_newcomer", "test_spare")
class SomebodyAlwaysWaits(Wrapped):
    def num_nodes_waiting(self) -> int:
        return 1


@caught_by("test_spare_of_a_closed_run")
class SparesFail(Wrapped):
    def next_rendezvous(self) -> RendezvousInfo:
        try:
            return super().next_rendezvous()
        except RendezvousGracefulExitError as error:
            raise RendezvousClosedError from error


@caught_by("test_close_while_others_work", "test_close_while_others_wait")
class ClosesForItself(Wrapped):
    closed = False

    def set_closed(self) -> None:
        self.closed = True

    def is_closed(self) -> bool:
        return self.closed


@caught_by("test_shutdown")
class ShutsDownForItself(Wrapped):
    def shutdown(self) -> bool:
        return bool(self.handler.leave())


@caught_by("test_leave")
class LeavingCloses(Wrapped):
    def leave(self, *, done: bool = False) -> bool:
        self.set_closed()
        return True


@caught_by("test_leave_when_done")
class IsNeverDone(Wrapped):
    def leave(self, *, done: bool = False) -> bool:
        return super().leave()


@caught_by("test_timeout")
class SaysNothing(Wrapped):
    def next_rendezvous(self) -> RendezvousInfo:
        try:
            return super().next_rendezvous()
        except RendezvousTimeoutError as error:
            raise RendezvousTimeoutError from error


@caught_by("test_timeout")
class GivesUpInSecret(Wrapped):
    """Raises in time, and leaves its ask standing."""

    def _create(self) -> Any:
        self.limit = self.params.config["join_timeout"]
        self.params.config["join_timeout"] = 600
        return super()._create()

    def next_rendezvous(self) -> RendezvousInfo:
        try:
            return start(super().next_rendezvous).result(self.limit)
        except TimeoutError as error:
            raise RendezvousTimeoutError(str(self.params.local_addr)) from error


@caught_by("test_settings_differ")
class IgnoresSettings(Wrapped):
    def _create(self) -> Any:
        self.params.max_nodes = self.params.min_nodes
        return super()._create()


@caught_by("test_death[first]", "test_death[last]")
class NobodyEverDies(Wrapped):
    def _create(self) -> Any:
        self.params.config.pop("keep_alive_interval", None)
        return super()._create()


globals().update(BROKEN.suites)
