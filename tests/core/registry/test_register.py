"""Handlers registered in code, as in torch."""

from typing import Any

import pytest

from rendezvous_core import RendezvousHandler, RendezvousParameters
from rendezvous_core.plugins.loading import RendezvousPluginError
from rendezvous_core.registry import (
    RendezvousHandlerRegistry,
    UnknownBackendError,
    get_rendezvous_handler,
    rendezvous_handler_registry,
)
from tests.core.registry.conftest import Environment
from tests.core.registry.parts import Handler


def params(backend: str) -> RendezvousParameters:
    return RendezvousParameters(backend, "", "run", 1, 1)


def create(params: RendezvousParameters) -> RendezvousHandler:
    return Handler(params.backend)


def other(params: RendezvousParameters) -> RendezvousHandler:
    return Handler("another name")


def test_a_registered_creator_builds_the_handler() -> None:
    registry = RendezvousHandlerRegistry()
    registry.register("in-code", create)
    assert registry.create_handler(params("in-code")).get_backend() == "in-code"


def test_the_global_registry_serves_get_rendezvous_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous_handler_registry, "_creators", {})
    rendezvous_handler_registry.register("in-code", create)
    assert isinstance(get_rendezvous_handler(params("in-code")), Handler)


def test_registries_are_separate() -> None:
    RendezvousHandlerRegistry().register("in-code", create)
    with pytest.raises(UnknownBackendError, match="'in-code' is not registered"):
        RendezvousHandlerRegistry().create_handler(params("in-code"))


@pytest.mark.parametrize("name", ["", None])
def test_a_name_is_needed(name: Any) -> None:
    with pytest.raises(ValueError, match="must be a non-empty string"):
        RendezvousHandlerRegistry().register(name, create)


def test_the_same_creator_may_register_twice_but_no_other() -> None:
    registry = RendezvousHandlerRegistry()
    registry.register("in-code", create)
    registry.register("in-code", create)
    with pytest.raises(ValueError, match=r"'in-code' cannot be registered with '.*other.*' as .*create"):
        registry.register("in-code", other)


def test_the_handler_must_carry_the_name_asked_for() -> None:
    registry = RendezvousHandlerRegistry()
    registry.register("in-code", other)
    with pytest.raises(RuntimeError, match="'another name' does not match the requested backend 'in-code'"):
        registry.create_handler(params("in-code"))


def test_the_creator_must_return_a_handler() -> None:
    registry = RendezvousHandlerRegistry()
    creator: Any = lambda params: "handler"  # noqa: E731
    registry.register("in-code", creator)
    with pytest.raises(RendezvousPluginError, match="returned 'handler', which is no handler"):
        registry.create_handler(params("in-code"))


def test_an_entry_point_wins_and_says_so(environment: Environment) -> None:
    code = """
        from rendezvous_core import hookimpl
        from parts import Handler

        class Installed(Handler): ...

        @hookimpl
        def rendezvous_handler(params):
            return Installed(params.backend)
    """
    environment.install("installed", code, backends={"both": ""})
    printed = environment.run("""
        import logging
        from parts import Handler

        logging.basicConfig(stream=sys.stdout, format="%(message)s")

        def in_code(params):
            return Handler(params.backend)

        rendezvous_handler_registry.register("both", in_code)
        print(type(create("both")).__name__)
    """)
    assert printed[0].startswith("The rendezvous backend 'both' comes from installed 1.0; ")
    assert "in_code" in printed[0]
    assert printed[1] == "Installed"
