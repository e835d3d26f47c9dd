"""Things that break a contract, each with the tests of the kit that must catch it."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import pytest

from rendezvous_core.testing import Proxy
from rendezvous_core.testing.suites.base import Suite
from tests.core.kit.remote import RemoteServer

C = TypeVar("C", bound=type)


class Broken:
    """The broken things of one module; ``suite`` makes the test class that one of them is given to."""

    def __init__(self, suite: Callable[[type], type[Suite]]) -> None:
        self.catchers: dict[str, tuple[str, ...]] = {}
        self.suites: dict[str, type] = {}
        self._suite = suite
        # What fails here is meant to, so it may fail soon; but what happens too early must be seen to happen.
        self._haste = {"patience": 0.6, "moment": 0.4}

    def caught_by(self, *tests: str) -> Callable[[C], C]:
        def note(broken: C) -> C:
            name = f"Test{broken.__name__}"
            self.catchers[name] = tests
            self.suites[name] = type(name, (self._suite(broken),), self._haste)
            return broken

        return note


class Remote:
    """A server of the class `server_class` behind a proxy."""

    server_class: ClassVar[type[RemoteServer]] = RemoteServer

    @pytest.fixture
    def server(self) -> Iterator[RemoteServer]:
        server = self.server_class()
        yield server
        server.stop()

    @pytest.fixture
    def link(self, server: RemoteServer) -> Iterator[Proxy]:
        with Proxy("127.0.0.1", server.port) as proxy:
            yield proxy

    @staticmethod
    def factory(kind: type, link: Proxy) -> Callable[[str], Any]:
        return lambda run_id: kind(link.port, run_id)
