"""What a distribution that provides a backend owes to its users, as tests."""

import logging
import os
import secrets
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar

import pytest

from rendezvous_core.over_register.register import unpacked
from rendezvous_core.plugins.loading import BACKENDS, installed_backends, load_backend
from rendezvous_core.ports.errors import RendezvousConnectionError
from rendezvous_core.ports.handler import RendezvousHandler
from rendezvous_core.ports.parameters import RendezvousParameters
from rendezvous_core.ports.runs import RunOutline, Runs, StoredRun
from rendezvous_core.records.codec import decode_state
from rendezvous_core.registry import create_backend, create_store, get_rendezvous_handler, open_runs
from rendezvous_core.testing.suites.base import Suite, missing, needs, required
from rendezvous_core.testing.suites.handler import assert_round
from rendezvous_core.testing.suites.threads import start, together

HEAVY = frozenset(
    {"torch", "numpy", "redis", "etcd", "pyetcd", "grpc", "click", "rich", "pytest", "hypothesis", "asyncio"}
)
"""What no user of another backend wants to pay for."""


class PluginSuite(Suite):
    """An installed distribution whose backend is found by name, costs nothing to others, and fails well.

    Set `backend` and `distribution`; supply `endpoint`; supply `secret_parameters`, or declare that they
    are lacking. May also lack ``unreachable_endpoint`` and ``declared_options``.
    """

    backend: ClassVar[str] = ""
    """Required: the name of the backend."""

    distribution: ClassVar[str] = ""
    """Required: the name of the distribution that provides it."""

    clients: ClassVar[Collection[str]] = ()
    """Import names of what it stands on, and of what its driver imports, where those are in `HEAVY`."""

    options: ClassVar[Mapping[str, Any]] = {}
    """Options that every handler of these tests needs."""

    bad_options: ClassVar[Mapping[str, object]] = {"join_timeout": "soon", "keep_alive_interval": "often"}
    """Options with a value that must be refused; add those of your own to these."""

    bad_endpoints: ClassVar[Sequence[str]] = ("localhost:port", "localhost:99999", "[::1", "a b:1")
    """Endpoints that must be refused."""

    @pytest.fixture
    def endpoint(self) -> str:
        """Required: the endpoint of a server that runs."""
        required("endpoint", "the endpoint of a server that runs")

    @pytest.fixture
    def unreachable_endpoint(self) -> Iterator[str]:
        """Where nobody answers: a port of this host, unless you override it for endpoints of another kind."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            yield f"127.0.0.1:{reserved.getsockname()[1]}"

    @pytest.fixture
    def secret_parameters(self) -> Callable[[str], RendezvousParameters]:
        """Optional: a function from a secret to parameters that hold it and whose server is unreachable."""
        missing("secret_parameters", "a function from a secret to the parameters of an unreachable server")

    @pytest.fixture
    def create(self, run_id: str, endpoint: str) -> Iterator[Callable[..., RendezvousHandler]]:
        """Create handlers by the name of the backend, and shut them down before the server ends."""
        del endpoint
        assert self.backend, "set the attribute 'backend' to the name of the backend"
        assert self.distribution, "set the attribute 'distribution' to the name of the distribution"
        handlers: list[RendezvousHandler] = []

        def create(
            endpoint: str, nodes: int = 1, *, run_id: str = run_id, **options: Any
        ) -> RendezvousHandler:
            options = {"join_timeout": self.patience, "close_timeout": 1, **self.options, **options}
            params = RendezvousParameters(self.backend, endpoint, run_id, nodes, nodes, **options)
            handlers.append(get_rendezvous_handler(params))
            return handlers[-1]

        yield create
        if handlers:
            together([handler.shutdown for handler in handlers], 3 * self.patience)

    # Packaging

    def test_entry_point(self) -> None:
        """The distribution, and no other that is installed, provides the backend."""
        owners = [each.distribution for each in installed_backends() if each.name == self.backend]
        assert owners == [self.distribution], f"is it installed, with an entry point in '{BACKENDS}'?"

    def test_import_is_light(self) -> None:
        """Importing the package loads nothing that users of it do not need."""
        package = self._module().partition(".")[0]
        self._is_light(f"import {package}", self._loaded_by(f"import {package}"))

    def test_choosing_it_loads_no_other_backend(self) -> None:
        """To choose this backend loads no other one, and nothing that another one needs."""
        loaded = self._loaded_by(
            f"from rendezvous_core.plugins.loading import load_backend; load_backend({self.backend!r})"
        )
        assert self._module() in loaded
        self._is_light(f"choosing the backend {self.backend!r}", loaded)
        assert not self._other_modules() & loaded

    def test_others_do_not_load_it(self) -> None:
        """To use rendezvous, and to list what is installed, loads nothing of it."""
        loaded = self._loaded_by(
            "from rendezvous_core.plugins.loading import installed_backends; installed_backends()"
        )
        assert self._module() not in loaded

    # From name to round

    def test_end_to_end(self, create: Callable[..., RendezvousHandler], endpoint: str) -> None:
        """Two handlers that were created by name form a round and share its store."""
        nodes = [create(endpoint, 2) for _ in range(2)]
        assert {node.get_backend() for node in nodes} == {self.backend}
        infos = together([node.next_rendezvous for node in nodes], 2 * self.patience)
        assert_round(infos)
        infos[0].store.set("key", b"value")
        assert infos[1].store.get("key") == b"value"

    # All its runs, where it has the hook

    @pytest.fixture
    def runs(self, endpoint: str) -> Iterator[Runs]:
        """All runs at the endpoint."""
        plugin = load_backend(self.backend)
        if plugin is None or not plugin.implements("rendezvous_runs"):
            pytest.skip("has no hook rendezvous_runs, which is optional")
        with open_runs(self._params(endpoint, "")) as runs:
            yield runs

    def test_a_run_is_listed(
        self, create: Callable[..., RendezvousHandler], endpoint: str, run_id: str, runs: Runs
    ) -> None:
        """With its state, and with the records of those who are in it."""
        assert run_id not in runs.read()
        create(endpoint).next_rendezvous()
        stored = runs.read()[run_id]
        if isinstance(stored, RunOutline):
            (silence,) = stored.silences
            assert (stored.phase, stored.waiting) == ("complete", 0)
            assert silence is not None
            return
        run = unpacked(stored)
        assert run is not None
        (seat,) = decode_state(run.state).roster
        assert set(run.members) == {seat.node}

    def test_a_run_is_removed(
        self, create: Callable[..., RendezvousHandler], endpoint: str, run_id: str, runs: Runs
    ) -> None:
        """With all that it stored, and its id is as new; where there is nothing, that is no error."""
        runs.delete(run_id)
        handler = create(endpoint)
        handler.next_rendezvous().store.set("key", b"value")
        handler.shutdown()
        stored = runs.read()[run_id]
        key = None if isinstance(stored, RunOutline) else _key_in(stored, run_id)
        assert key is None or self._has(endpoint, run_id, key)
        runs.delete(run_id)
        assert run_id not in runs.read()
        assert key is None or not self._has(endpoint, run_id, key)
        assert create(endpoint).next_rendezvous().world_size == 1

    @needs("many_runs")
    def test_other_runs_stay(
        self, create: Callable[..., RendezvousHandler], endpoint: str, run_id: str, runs: Runs
    ) -> None:
        """Runs whose ids begin alike, and have any characters in them, are told apart."""
        names = [run_id, f"{run_id}/1", f"{run_id}:{{}}*% \u00fc"]
        stores = [create(endpoint, run_id=name).next_rendezvous().store for name in names]
        for store in stores:
            store.set("key", b"value")
        assert set(names) <= runs.read().keys()
        runs.delete(run_id)
        assert set(names) & runs.read().keys() >= set(names[1:])
        for store in stores[1:]:
            assert store.get("key") == b"value"

    # Errors

    def test_bad_options(self, create: Callable[..., RendezvousHandler], endpoint: str) -> None:
        """An option whose value makes no sense is a ``ValueError`` that names the option."""
        for name, value in self.bad_options.items():
            with pytest.raises(ValueError, match=name):
                create(endpoint, **{name: value})

    @needs("declared_options")
    def test_unknown_options(self, create: Callable[..., RendezvousHandler], endpoint: str) -> None:
        """An option that nobody reads, as a misspelt one, is a ``ValueError`` that names it."""
        with pytest.raises(ValueError, match="no_such_option"):
            create(endpoint, no_such_option="1")

    def test_bad_endpoints(self, create: Callable[..., RendezvousHandler]) -> None:
        """An endpoint that makes no sense is a ``ValueError`` that shows the endpoint."""
        for endpoint in self.bad_endpoints:
            with pytest.raises(ValueError) as caught:  # noqa: PT011
                create(endpoint)
            assert endpoint in str(caught.value)

    def test_empty_run_id(self, create: Callable[..., RendezvousHandler], endpoint: str) -> None:
        """A run has a name."""
        with pytest.raises(ValueError, match="run id"):
            create(endpoint, run_id="")

    @needs("unreachable_endpoint")
    def test_unreachable(self, create: Callable[..., RendezvousHandler], unreachable_endpoint: str) -> None:
        """Where no server answers, `RendezvousConnectionError` names the endpoint, soon."""
        meet = partial(self._meet_in_vain, create, unreachable_endpoint)
        error = start(meet).exception(self.patience)
        assert isinstance(error, RendezvousConnectionError), f"got {error!r}"
        assert unreachable_endpoint in str(error)

    @needs("secret_parameters")
    def test_secrets_stay_secret(
        self,
        secret_parameters: Callable[[str], RendezvousParameters],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """No password appears in an error, in what it was raised from, or in the log."""
        secret = secrets.token_hex(8)
        params = secret_parameters(secret)
        params.config = {"join_timeout": 1, "close_timeout": 1, "heartbeat_timeout": 1, **params.config}
        assert secret not in repr(params)

        def meet() -> None:
            handler = get_rendezvous_handler(params)
            try:
                assert secret not in repr(handler)
                handler.next_rendezvous()
            finally:
                handler.shutdown()

        with caplog.at_level(logging.DEBUG):
            error = start(meet).exception(2 * self.patience)
        assert isinstance(error, RendezvousConnectionError | ValueError), f"got {error!r}"
        assert secret not in "".join(traceback.format_exception(error))
        assert secret not in caplog.text

    def _params(self, endpoint: str, run_id: str) -> RendezvousParameters:
        return RendezvousParameters(self.backend, endpoint, run_id, 1, 1, **self.options)

    def _has(self, endpoint: str, run_id: str, key: str) -> bool:
        """Whether the shared store of a run has a key."""
        params = self._params(endpoint, run_id)
        with closing(create_backend(params)) as backend:
            return create_store(params, backend).check([key])

    def _meet_in_vain(self, create: Callable[..., RendezvousHandler], endpoint: str) -> None:
        soon = 5 * self.moment
        create(endpoint, join_timeout=soon, heartbeat_timeout=soon).next_rendezvous()

    def _module(self) -> str:
        modules = [module for name, module in self._modules() if name == self.backend]
        assert len(modules) == 1, f"{len(modules)} entry points in '{BACKENDS}' are named {self.backend!r}"
        return modules[0]

    def _other_modules(self) -> set[str]:
        mine = self._module()
        return {module for _, module in self._modules()} - {mine}

    @staticmethod
    def _modules() -> list[tuple[str, str]]:
        from importlib_metadata import entry_points

        return [(point.name, point.module) for point in entry_points(group=BACKENDS)]

    def _is_light(self, what: str, loaded: Collection[str]) -> None:
        packages = {name.partition(".")[0] for name in loaded}
        heavy = sorted(packages & (HEAVY - set(self.clients)))
        others = sorted(packages - sys.stdlib_module_names - set(heavy) - {self._module().partition(".")[0]})
        assert not heavy, (
            f"{what} loads {', '.join(heavy)}. If it is your driver that does (of other packages it loads "
            f"{', '.join(others) or 'none'}), say so: clients = {(*self.clients, *heavy)!r}; "
            "else import that only in the functions that need it."
        )

    @staticmethod
    def _loaded_by(statement: str) -> set[str]:
        """Return the names of the modules that a new interpreter loads for ``statement``."""
        script = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
        ran = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
        return set(ran.stdout.split())


def _key_in(stored: StoredRun, run_id: str) -> str:
    """Return where ``key`` of the latest round stands in the shared store."""
    run = unpacked(stored)
    assert run is not None
    state = decode_state(run.state)
    return f"rendezvous/{run_id}/{state.round}/{state.round_id}/key"
