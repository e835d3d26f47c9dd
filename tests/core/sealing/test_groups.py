"""Groups with a secret, and those who come without."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    MembershipBackend,
    RendezvousBackend,
    RendezvousParameters,
    RendezvousTimeout,
    Store,
    get_rendezvous_handler,
)
from rendezvous_core.cli.lookout import Lookout, look_at_runs
from rendezvous_core.dynamic.history import history_key
from rendezvous_core.ports.errors import RendezvousSecretError
from rendezvous_core.ports.sealed import SEALED
from rendezvous_core.registry import create_backend, create_store
from rendezvous_core.sealing import keys
from rendezvous_core.sealing.backend import SealedBackend
from rendezvous_core.sealing.keys import ID_SIZE, Keyring
from rendezvous_core.sealing.store import SealedStore
from rendezvous_core.testing.memory import MemoryBackend, MemoryServer, MemoryStore
from rendezvous_core.testing.suites.threads import start
from tests.core.handler.groups import PATIENCE, eventually

ONE, OTHER = "one secret of these tests", "another secret of these"


@pytest.fixture(autouse=True)
def _no_secret_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(keys.SECRET_VARIABLE, raising=False)
    monkeypatch.delenv(keys.FILE_VARIABLE, raising=False)


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


Create = Callable[..., DynamicRendezvousHandler]


@pytest.fixture
def create(server: MemoryServer) -> Iterator[Create]:
    made: list[DynamicRendezvousHandler] = []

    def create(run: str = "run", nodes: int = 2, **options: Any) -> DynamicRendezvousHandler:
        made.append(
            DynamicRendezvousHandler.from_backend(
                run,
                MemoryStore(server, run),
                MemoryBackend(server, run),
                nodes,
                nodes,
                "127.0.0.1",
                RendezvousTimeout(join=timedelta(seconds=60), close=timedelta(seconds=PATIENCE)),
                0.2,
                50,
                **options,
            )
        )
        return made[-1]

    yield create
    for handler in made:
        handler.shutdown()


def bare(server: MemoryServer, run: str = "run") -> MembershipBackend:
    """What stands at the server."""
    return MemoryBackend(server, run)


def gather(*handlers: DynamicRendezvousHandler) -> list[int]:
    asking = [start(handler.next_rendezvous) for handler in handlers]
    return sorted(each.result(PATIENCE).rank for each in asking)


@contextmanager
def refused(match: str) -> Iterator[None]:
    with pytest.raises(RendezvousSecretError, match=match):
        yield


def test_a_group_with_a_secret_keeps_nothing_that_is_read(server: MemoryServer, create: Create) -> None:
    handlers = [create(secret=ONE, metadata={"rack": "rack-in-clear"}) for _ in range(2)]
    assert gather(*handlers) == [0, 1]
    found = bare(server).get_state()
    assert found is not None
    kept = [found[0], *bare(server).members().records.values()]
    assert all(each.startswith(SEALED) for each in kept)
    assert not any(b"rack-in-clear" in each or b"127.0.0.1" in each or b"roster" in each for each in kept)


@pytest.mark.parametrize(
    ("secret", "match"), [(None, "sealed with a secret, and this node has none"), (OTHER, "another secret")]
)
def test_who_has_not_the_secret_is_told_at_once_and_disturbs_nobody(
    server: MemoryServer, create: Create, secret: str | None, match: str
) -> None:
    group = [create(secret=ONE, nodes=1, metadata={}) for _ in range(1)]
    assert gather(*group) == [0]
    stranger = create(secret=secret)
    with refused(match):
        stranger.next_rendezvous()
    with refused(match):
        stranger.is_closed()
    with refused(match):
        stranger.set_closed()
    assert set(bare(server).members().records) == {group[0].node_id}
    assert group[0].num_nodes_waiting() == 0
    assert not group[0].is_closed()
    assert not stranger.shutdown()
    assert not group[0].is_closed()


def test_a_node_with_a_secret_refuses_a_run_without_one(create: Create) -> None:
    assert gather(*[create(), create()]) == [0, 1]
    with refused("is not sealed, and this node has a secret"):
        create(secret=ONE).next_rendezvous()


def test_of_two_that_come_first_without_and_with_a_secret_only_one_kind_goes_on(create: Create) -> None:
    mixed = [create(secret=secret) for secret in (ONE, None, ONE, None)]
    asking = [start(handler.next_rendezvous) for handler in mixed]
    outcomes = []
    for each in asking:
        try:
            outcomes.append(each.result(PATIENCE).world_size)
        except RendezvousSecretError:
            outcomes.append(0)
    assert outcomes in ([2, 0, 2, 0], [0, 2, 0, 2])


def test_records_that_somebody_else_writes_count_for_nothing(server: MemoryServer, create: Create) -> None:
    group = [create(secret=ONE) for _ in range(2)]
    gather(*group)
    other = create("other", nodes=1, secret=ONE)
    gather(other)
    member = bare(server, "other").members().records[other.node_id]
    state = bare(server, "other").get_state()
    assert state is not None
    intruder = bare(server)
    for name, record in {
        other.node_id: member,  # of another run
        "f" * 32: intruder.members().records[group[0].node_id],  # of another node
        "e" * 32: state[0],  # of another kind
        "d" * 32: b'{"v":2}',
        "c" * 32: SEALED,
    }.items():
        intruder.put_member(name, record, announce=True)
    seen = SealedBackend(intruder, Keyring(ONE), "run").members().records
    assert set(seen) == {handler.node_id for handler in group}
    assert [handler.num_nodes_waiting() for handler in group] == [0, 0]

    standing = intruder.get_state()
    assert standing is not None
    intruder.set_state(state[0], standing[1])
    with refused("brought from another place"):
        create(secret=ONE).next_rendezvous()


def test_a_state_that_is_brought_back_or_lost_changes_nothing(server: MemoryServer, create: Create) -> None:
    """Whoever can write can bring back what stood there before, which is Rule 11's to refuse."""
    old = create(secret=ONE, nodes=1)
    gather(old)
    first = bare(server).get_state()
    assert first is not None
    assert gather(old) == [0]
    newer = old.joined
    standing = bare(server).get_state()
    assert newer is not None
    assert newer.round == 1
    assert standing is not None
    bare(server).set_state(first[0], standing[1])

    def is_restored() -> bool:
        found = bare(server).get_state()
        return found is not None and found[0] not in (first[0], standing[0])

    eventually(is_restored, "the newer state is written again")
    assert old.joined is newer
    assert old.num_nodes_waiting() == 0


def test_a_running_group_goes_over_to_another_secret(
    server: MemoryServer, create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_PAUSE", 0.0)
    files = [tmp_path / "a", tmp_path / "b"]
    for file in files:
        file.write_text(ONE)
    group = [create(secret_file=str(file)) for file in files]
    gather(*group)
    rounds = [handler.joined for handler in group]

    def ids() -> set[bytes]:
        found = bare(server).get_state()
        assert found is not None
        kept = [found[0], *bare(server).members().records.values()]
        return {each[len(SEALED) : len(SEALED) + ID_SIZE] for each in kept}

    old, new = Keyring(ONE).first.id, Keyring(OTHER).first.id
    for text in (f"{ONE}\n{OTHER}\n", f"{OTHER}\n{ONE}\n", f"{OTHER}\n"):
        for file in files:
            part = file.with_suffix(".new")
            part.write_text(text)
            os.replace(part, file)  # one node after the other, whenever it is read
            assert ids() <= {old, new}
        if text.startswith(OTHER):
            eventually(lambda: ids() == {new}, "all is sealed with the new secret")
    assert [handler.joined for handler in group] == rounds
    assert [handler.num_nodes_waiting() for handler in group] == [0, 0]
    with refused("another secret"):
        create(secret=ONE).next_rendezvous()


def params(tmp_path: Path, backend: str = "sqlite", run: str = "run", **options: Any) -> RendezvousParameters:
    return RendezvousParameters(backend, str(tmp_path / "run.db"), run, 1, 1, "127.0.0.1", **options)


def test_the_environment_gives_a_secret_to_every_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keys.SECRET_VARIABLE, ONE)
    handler = get_rendezvous_handler(params(tmp_path))
    handler.next_rendezvous()
    opened = create_backend(params(tmp_path))
    found = opened.get_state()
    assert found is not None
    assert found[0].startswith(b"{")
    monkeypatch.delenv(keys.SECRET_VARIABLE)
    with pytest.raises(RendezvousSecretError, match="this node has none"):
        get_rendezvous_handler(params(tmp_path)).next_rendezvous()
    handler.shutdown()
    opened.close()


def test_the_store_is_sealed_where_that_is_asked(tmp_path: Path) -> None:
    sealed = params(tmp_path, secret=ONE, seal_store="true")
    handler = get_rendezvous_handler(sealed)
    info = handler.next_rendezvous()
    info.store.set("key", b"value")
    assert info.store.get("key") == b"value"
    backend = create_backend(sealed)
    store, clear = create_store(sealed, backend), create_store(params(tmp_path), backend)
    (key,) = [key for key in store.list_keys() if key.endswith("/key")]
    assert store.get(key) == b"value"
    assert clear.get(key).startswith(SEALED)
    assert all(clear.get(each).startswith(SEALED) for each in clear.list_keys())
    handler.shutdown()
    backend.close()


def test_who_looks_at_all_runs_sees_those_of_its_secret(tmp_path: Path) -> None:
    secrets = {"one": {"secret": ONE}, "other": {"secret": OTHER}, "none": {}}
    handlers = [get_rendezvous_handler(params(tmp_path, run=run, **given)) for run, given in secrets.items()]
    for handler in handlers:
        handler.next_rendezvous()
    seen = {each.run_id: each.phase for each in look_at_runs(params(tmp_path, secret=ONE))}
    assert seen == {"one": "complete", "other": "sealed", "none": "complete"}
    seen = {each.run_id: each.phase for each in look_at_runs(params(tmp_path))}
    assert seen == {"one": "sealed", "other": "sealed", "none": "complete"}
    for handler in handlers:
        handler.shutdown()


def test_a_history_that_somebody_damaged_hides_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = params(tmp_path, secret=ONE)
    handler = get_rendezvous_handler(sealed)
    handler.next_rendezvous()
    backend = create_backend(sealed)
    create_store(sealed, backend).set(history_key("run"), b"something else")
    backend.close()
    with closing(Lookout(sealed)) as lookout:
        look = lookout.look()
        assert look is not None
        assert look.phase == "complete"
        assert lookout.history() == ()
    assert "The history of the run 'run' cannot be read" in caplog.text
    handler.shutdown()


def test_a_store_cannot_be_sealed_without_a_secret(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'seal_store' needs a secret"):
        get_rendezvous_handler(params(tmp_path, seal_store="true"))


def test_the_seal_covers_every_method_of_the_ports() -> None:
    """What a port gains must not pass by the seal."""
    public = {name for name in vars(MembershipBackend) | vars(RendezvousBackend) if not name.startswith("_")}
    assert public <= vars(SealedBackend).keys()
    # These are made of others, or have nothing to seal.
    others = {"timeout", "barrier", "has_extended_api"}
    assert {name for name in vars(Store) if not name.startswith("_")} - others <= vars(SealedStore).keys()
