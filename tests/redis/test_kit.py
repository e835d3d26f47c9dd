"""The backend, its store and its plugin pass the kit, on every kind of server and in every form."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters, get_rendezvous_handler
from rendezvous_core.testing import HandlerSuite, MembershipSuite, PluginSuite, Proxy, Server, StoreSuite
from rendezvous_redis import RedisOptions, RedisRendezvousBackend, RedisRun, RedisStore
from rendezvous_redis._replies import number
from tests.redis.places import Place, open_place
from tests.redis.servers import MAINLY


def open_backend(endpoint: str, options: RedisOptions, run_id: str) -> RedisRendezvousBackend:
    return RedisRendezvousBackend(RedisRun(endpoint, run_id, options))


def open_store(endpoint: str, options: RedisOptions, run_id: str) -> RedisStore:
    return RedisStore(RedisRun(endpoint, run_id, options))


class OfBackends(MembershipSuite):
    @pytest.fixture
    def process_factory(self, place: Place, endpoint: str) -> Callable[[str], RedisRendezvousBackend]:
        return partial(open_backend, endpoint, place.options)


class OfStores(StoreSuite):
    @pytest.fixture
    def process_factory(self, place: Place, endpoint: str) -> Callable[[str], RedisStore]:
        return partial(open_store, endpoint, place.options)


class Kept:
    """Runs at a place of each of several kinds."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def place(
        cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Place]:
        with open_place(request.param, tmp_path_factory.mktemp("place")) as place:
            yield place

    @pytest.fixture
    def server(self, place: Place) -> Server | None:
        return place.server

    @pytest.fixture
    def endpoint(self, place: Place) -> str:
        return place.endpoint

    @pytest.fixture
    def corrupt(self, place: Place) -> Callable[[str], object]:
        def corrupt(run_id: str) -> None:
            run = RedisRun(place.endpoint, run_id, place.options)
            run.client.call(number, "HSET", run.keys.state, "token", "spoilt", patience=1)
            run.close()

        return corrupt

    @pytest.fixture
    def open_run(self, place: Place, endpoint: str) -> Iterator[Callable[[str], RedisRun]]:
        opened = []

        def open_run(run_id: str) -> RedisRun:
            opened.append(RedisRun(endpoint, run_id, place.options))
            return opened[-1]

        yield open_run
        for run in opened:
            run.close()

    @pytest.fixture
    def backend_factory(self, open_run: Callable[[str], RedisRun]) -> Callable[[str], RedisRendezvousBackend]:
        return lambda run_id: RedisRendezvousBackend(open_run(run_id))

    @pytest.fixture
    def store_factory(self, open_run: Callable[[str], RedisRun]) -> Callable[[str], RedisStore]:
        return lambda run_id: RedisStore(open_run(run_id))

    @pytest.fixture
    def handler_factory(self, place: Place) -> Callable[..., RendezvousHandler]:
        given = dataclasses.asdict(place.options)
        given = {name: value for name, value in given.items() if value is not None}

        def create(run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> RendezvousHandler:
            return get_rendezvous_handler(
                RendezvousParameters(
                    "redis", place.endpoint, run_id, min_nodes, max_nodes, **given, **options
                )
            )

        return create


@pytest.mark.parametrize("place", [*MAINLY, "tls"], indirect=True, scope="class")
class OneServer(Kept):
    """A server that a proxy can stand before."""

    @pytest.fixture
    def link(self, place: Place) -> Iterator[Proxy]:
        with Proxy(*place.address) as proxy:
            yield proxy

    @pytest.fixture
    def endpoint(self, place: Place, link: Proxy) -> str:
        return place.form.format(link.endpoint)


@pytest.mark.parametrize("place", ["cluster"], indirect=True, scope="class")
class Spread(Kept):
    """Three primaries; test_cluster.py has their faults."""

    lacks: ClassVar[Mapping[str, str]] = {"link": "the nodes tell their addresses"}


@pytest.mark.parametrize("place", ["sentinel"], indirect=True, scope="class")
class Watched(Kept):
    """A primary that Sentinels watch; test_sentinel.py has its faults."""

    lacks: ClassVar[Mapping[str, str]] = {
        "link": "the Sentinels tell the address",
        "server": "a stop means a failover",
        "durability": "in memory",
    }


class TestBackendOnOneServer(OneServer, OfBackends):
    pass


class TestBackendOnCluster(Spread, OfBackends):
    pass


class TestBackendWatched(Watched, OfBackends):
    pass


class TestStoreOnOneServer(OneServer, OfStores):
    pass


class TestStoreOnCluster(Spread, OfStores):
    pass


class TestStoreWatched(Watched, OfStores):
    pass


class TestHandlerOnOneServer(OneServer, HandlerSuite):
    pass


class TestHandlerOnCluster(Spread, HandlerSuite):
    lacks: ClassVar[Mapping[str, str]] = {}


class TestHandlerWatched(Watched, HandlerSuite):
    lacks: ClassVar[Mapping[str, str]] = {"server": Watched.lacks["server"]}


@pytest.mark.parametrize("place", ["valkey"], indirect=True, scope="class")
class TestPlugin(Kept, PluginSuite):
    backend = "redis"
    distribution = "rendezvous-redis"
    # redis-py loads its own asyncio part.
    clients = ("redis", "asyncio")
    bad_options: ClassVar = {
        **PluginSuite.bad_options,
        "db": "first",
        "ttl": "forever",
        "connect_timeout": -1,
        "read_timeout": -1,
        "tls": "maybe",
        "ca_cert": "no-such-file",
    }
    bad_endpoints = (
        *PluginSuite.bad_endpoints,
        "http://localhost",
        "redis://localhost/first",
        "sentinel://host",
    )

    @pytest.fixture
    def secret_parameters(self, unreachable_endpoint: str) -> Callable[[str], RendezvousParameters]:
        def parameters(secret: str) -> RendezvousParameters:
            return RendezvousParameters("redis", f"redis://user:{secret}@{unreachable_endpoint}", "run", 1, 1)

        return parameters
