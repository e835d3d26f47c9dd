"""From what a plugin gives, the backend and the store, core builds the handler."""

from pathlib import Path

from tests.core.registry.conftest import Environment

PLUGIN = """
import os
from rendezvous_core import PrefixStore, RendezvousBackend, StoreBackend, hookimpl
from rendezvous_core.sqlite.backend import SqliteBackend
from rendezvous_core.sqlite.store import SqliteStore
from parts import Register

def path():
    return os.environ["PYTHONPATH"] + "/run.db"

class Backend(SqliteBackend):
    name = "own"
    def close(self):
        super().close()
        print("closed")
"""
ROUND = """
handler = create("own")
info = handler.next_rendezvous()
info.store.set("key", "value")
print(handler.get_backend(), info.rank, info.world_size, info.store.get("key"))
handler.shutdown()
"""


def install(environment: Environment, **hooks: str) -> None:
    hook = "@hookimpl\ndef rendezvous_{}({}):\n    {}\n"
    arguments = {"backend": "params", "store": "params, backend"}
    code = "\n".join(hook.format(name, arguments[name], body) for name, body in hooks.items())
    environment.install("own", f"{PLUGIN}\n{code}", backends={"own": ""})


def test_a_backend_and_its_store(environment: Environment) -> None:
    install(
        environment,
        backend="global made; made = Backend(path(), params.run_id); return made",
        store="assert backend is made; return SqliteStore(path(), params.run_id)",
    )
    assert environment.run(ROUND) == ["own 0 1 b'value'", "closed"]


def test_a_store_backend_shares_the_store_it_keeps_the_run_in(environment: Environment) -> None:
    install(
        environment,
        backend="return StoreBackend(SqliteStore(path(), params.run_id), params.run_id, params.backend)",
    )
    assert environment.run(ROUND) == ["own 0 1 b'value'"]


def test_core_serves_the_store_from_a_bare_register(environment: Environment) -> None:
    install(environment, backend="return Register(params.backend)")
    assert environment.run(ROUND) == ["own 0 1 b'value'", "closed own"]


def test_a_store_beside_a_bare_register_gets_that_register(environment: Environment) -> None:
    install(
        environment,
        backend="global made; made = Register(params.backend); return made",
        store="assert backend is made; return SqliteStore(path(), params.run_id)",
    )
    assert environment.run(ROUND) == ["own 0 1 b'value'", "closed own"]


def test_any_other_backend_needs_a_store(environment: Environment) -> None:
    install(environment, backend="return Backend(path(), params.run_id)")
    printed = environment.run("error(create, 'own')")
    assert printed[:2] == ["closed", "RendezvousPluginError"]
    assert any("'own' of own 1.0 provides no store: rendezvous_store must answer" in line for line in printed)


def test_the_backend_is_closed_when_an_option_is_wrong(environment: Environment) -> None:
    install(environment, backend="return Register(params.backend)")
    printed = environment.run("""
        try:
            create("own", keep_alive_interval="soon")
        except ValueError as error:
            print(error)
    """)
    assert printed[0] == "closed own"
    assert (
        "'keep_alive_interval' ('soon') must be a positive number of seconds from 0.001 to 86400"
        in printed[1]
    )


def test_backend_and_store_can_be_had_without_a_handler(environment: Environment, tmp_path: Path) -> None:
    printed = environment.run(f"""
        from rendezvous_core import MembershipBackend

        given = RendezvousParameters("sqlite", {str(tmp_path / "file.db")!r}, "run", 1, 1)
        backend = create_backend(given)
        store = create_store(given, backend)
        store.set("key", "value")
        print(isinstance(backend, MembershipBackend), backend.name, backend.get_state(), store.get("key"))
        backend.close()
    """)
    assert printed == ["True sqlite None b'value'"]


def test_a_bare_register_without_a_handler(environment: Environment) -> None:
    install(environment, backend="return Register(params.backend)")
    printed = environment.run("""
        from rendezvous_core import MembershipBackend

        backend = create_backend(params("own"))
        store = create_store(params("own"), backend)
        store.set("key", "value")
        print(isinstance(backend, MembershipBackend), dict(backend.members().records), store.get("key"))
    """)
    assert printed == ["True {} b'value'"]


def test_a_plugin_of_a_whole_handler_opens_no_backend(environment: Environment) -> None:
    printed = environment.run(
        "error(create_backend, params('static', rank=0)); error(create_backend, params('x'))"
    )
    assert any("'static'" in line and "builds whole handlers" in line for line in printed)
    assert "UnknownBackendError" in printed
