"""Every store behaves as one dictionary does, whatever is done to it in whatever order."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from rendezvous_core import PrefixStore, QueueEmptyError, RendezvousTimeoutError, Store
from rendezvous_core.over_register.backend import RegisterBackend
from rendezvous_core.over_register.store import RegisterStore
from rendezvous_core.testing.memory import MemoryServer, MemoryStore
from tests.core.stores.parts import PlainStore, Register

KEYS = st.sampled_from(["", "a", "a/b", "/a", "ключ"])
VALUES = st.one_of(st.binary(max_size=4), st.sampled_from([b"1", b"-7", b"12"]), st.text(max_size=2))
QUEUES = st.sampled_from(["q", "q/r"])


def encoded(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class Model(RuleBasedStateMachine):
    """A store beside a dictionary of values and one of queues."""

    def open(self) -> Store:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open()
        self.values: dict[str, bytes] = {}
        self.queues: dict[str, list[bytes]] = {}

    @rule(key=KEYS, value=VALUES)
    def set(self, key: str, value: str | bytes) -> None:
        self.store.set(key, value)
        self.values[key] = encoded(value)

    @rule(keys=st.lists(KEYS, max_size=3), value=VALUES)
    def multi_set(self, keys: list[str], value: str | bytes) -> None:
        values = [encoded(value) + b"%d" % place for place in range(len(keys))]
        self.store.multi_set(keys, values)
        self.values.update(zip(keys, values, strict=True))

    @rule(key=KEYS, value=VALUES)
    def append(self, key: str, value: str | bytes) -> None:
        self.store.append(key, value)
        self.values[key] = self.values.get(key, b"") + encoded(value)

    @rule(key=KEYS, amount=st.integers(-9, 9))
    def add(self, key: str, amount: int) -> None:
        text = self.values.get(key, b"0")
        if text.lstrip(b"-").isdigit() and text.count(b"-") <= 1:
            total = int(text) + amount
            assert self.store.add(key, amount) == total
            self.values[key] = b"%d" % total
        else:
            with pytest.raises(ValueError, match="no integer"):
                self.store.add(key, amount)

    @rule(key=KEYS, expected=VALUES, desired=VALUES)
    def compare_set(self, key: str, expected: str | bytes, desired: str | bytes) -> None:
        if self.values.get(key, b"") == encoded(expected):
            self.values[key] = encoded(desired)
        standing = self.values.get(key, encoded(expected))
        assert self.store.compare_set(key, expected, desired) == standing

    @rule(key=KEYS, desired=VALUES)
    def compare_set_what_is_there(self, key: str, desired: str | bytes) -> None:
        self.compare_set(key, self.values.get(key, b""), desired)

    @rule(key=KEYS)
    def delete_key(self, key: str) -> None:
        assert self.store.delete_key(key) is (self.values.pop(key, None) is not None)

    @rule(keys=st.lists(KEYS, max_size=3))
    def read(self, keys: list[str]) -> None:
        there = all(key in self.values for key in keys)
        assert self.store.check(keys) is there
        if there:
            self.store.wait(keys)
            assert self.store.multi_get(keys) == [self.values[key] for key in keys]
            assert [self.store.get(key) for key in keys] == [self.values[key] for key in keys]
        else:
            with pytest.raises(RendezvousTimeoutError):
                self.store.wait(keys, 0)

    @rule(key=QUEUES, value=VALUES)
    def queue_push(self, key: str, value: str | bytes) -> None:
        self.store.queue_push(key, value)
        self.queues.setdefault(key, []).append(encoded(value))

    @rule(key=QUEUES, block=st.booleans())
    def queue_pop(self, key: str, block: bool) -> None:
        if self.queues.get(key):
            assert self.store.queue_pop(key, block) == self.queues[key].pop(0)
        else:
            with pytest.raises(RendezvousTimeoutError if block else QueueEmptyError):
                self.store.queue_pop(key, block, 0)

    @rule(key=QUEUES)
    def queue_len(self, key: str) -> None:
        assert self.store.queue_len(key) == len(self.queues.get(key, []))

    @invariant()
    def keys_agree(self) -> None:
        keys = [key for key in self.store.list_keys() if "/queue/" not in key]
        assert sorted(keys) == sorted(self.values)
        assert self.store.num_keys() == len(self.store.list_keys())


class MemoryModel(Model):
    def open(self) -> Store:
        return MemoryStore(MemoryServer())


class PlainModel(Model):
    def open(self) -> Store:
        return PlainStore(MemoryServer())


class PrefixModel(Model):
    def open(self) -> Store:
        store = MemoryStore(MemoryServer())
        for foreign in ("", "a", "out", "out/in", "out/inn/a", "out/a", "in/a", "/a"):
            store.set(foreign, b"foreign")
        return PrefixStore("in", PrefixStore("out", store))


class RegisterModel(Model):
    def open(self) -> Store:
        return RegisterStore(RegisterBackend(Register(MemoryServer())))


@pytest.mark.parametrize("model", [MemoryModel, PlainModel, PrefixModel, RegisterModel])
def test_a_store_is_a_dictionary(model: type[Model]) -> None:
    run_state_machine_as_test(model, settings=settings(max_examples=60, deadline=None))
