"""Stores that break the contract. No test of this project runs here: see test_kit.py."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from rendezvous_core import RendezvousConnectionError, RendezvousTimeoutError
from rendezvous_core.testing import MemoryServer, MemoryStore, Proxy, StoreSuite
from tests.core.kit.breaking import Broken, Remote
from tests.core.kit.remote import RemoteStore

Value = str | bytes


def suite(broken: type) -> type[StoreSuite]:
    if issubclass(broken, RemoteStore):

        class RemoteSuite(Remote, StoreSuite):
            @pytest.fixture
            def store_factory(self, link: Proxy) -> Callable[[str], Any]:
                return self.factory(broken, link)

        return RemoteSuite

    class MemorySuite(StoreSuite):
        @pytest.fixture
        def store_factory(self) -> Callable[[str], Any]:
            server = MemoryServer()
            return lambda run_id: broken(server, run_id)

    return MemorySuite


BROKEN = Broken(suite)
caught_by = BROKEN.caught_by


def race() -> None:
    """Where a broken thing is in the middle of what should be one step."""
    time.sleep(0.002)


class Unguarded(MemoryStore):
    """Takes any arguments, as a store that does not derive from `Store` might."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return partial(found.__wrapped__, self) if hasattr(found, "__wrapped__") else found


# Values


@caught_by(
    "test_what_is_no_key[nothing]",
    "test_what_is_no_key[undecodable]",
    "test_a_key_is_no_list_of_keys",
    "test_what_is_no_amount[fraction]",
)
class TakesAnything(Unguarded):
    pass


@caught_by("test_what_is_no_value[number]")
class WritesAnything(MemoryStore):
    def set(self, key: str, value: Value) -> None:
        super().set(key, value if isinstance(value, str | bytes) else str(value))


@caught_by("test_what_is_no_timeout[nan]")
class WaitsForNoNumber(MemoryStore):
    def _limit(self, timeout: Any) -> float:
        try:
            return super()._limit(timeout)
        except ValueError:
            return 0.0


@caught_by("test_the_longest_timeout")
class CountsMilliseconds(MemoryStore):
    def _limit(self, timeout: Any) -> float:
        limit = super()._limit(timeout)
        if limit * 1000 >= 2**31:
            raise OverflowError("timeout is too large")
        return limit


@caught_by("test_set_replaces")
class CachedValue(MemoryStore):
    def get(self, key: str) -> bytes:
        cache: dict[str, bytes] = self.__dict__.setdefault("cache", {})
        return cache.setdefault(key, super().get(key))


@caught_by("test_history")
class StaleRead(MemoryStore):
    """Reads what was there some milliseconds ago, as from a replica."""

    def get(self, key: str) -> bytes:
        cache: dict[str, tuple[float, bytes]] = self.__dict__.setdefault("cache", {})
        if key not in cache or time.monotonic() > cache[key][0] + 0.01:
            cache[key] = time.monotonic(), super().get(key)
        return cache[key][1]


@caught_by("test_set_and_get[2]")
class Strips(MemoryStore):
    def get(self, key: str) -> bytes:
        return super().get(key).strip()


@caught_by("test_set_and_get[256]")
class TextOnly(MemoryStore):
    def set(self, key: str, value: Value) -> None:
        super().set(key, value.decode(errors="replace") if isinstance(value, bytes) else value)


@caught_by("test_large_value")
class CutsLongValues(MemoryStore):
    def set(self, key: str, value: Value) -> None:
        super().set(key, value[:65536])


@caught_by("test_text_is_stored_as_utf8")
class Latin1(MemoryStore):
    def set(self, key: str, value: Value) -> None:
        super().set(key, value.encode("latin-1", "replace") if isinstance(value, str) else value)


@caught_by("test_any_text_is_a_key")
class NormalisesKeys(MemoryStore):
    """Keeps keys in folders, for which ``a/`` is ``a``."""

    def set(self, key: str, value: Value) -> None:
        super().set(key.rstrip("/"), value)

    def get(self, key: str) -> bytes:
        return super().get(key.rstrip("/"))


@caught_by("test_runs_are_apart")
class LeaksBetweenRuns(MemoryStore):
    """Joins run id and key by a slash, which either may hold."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        super().__init__(server)
        self._prefix = f"{run_id}/"

    def set(self, key: str, value: Value) -> None:
        super().set(self._prefix + key, value)

    def get(self, key: str) -> bytes:
        return super().get(self._prefix + key)

    def add(self, key: str, amount: int) -> int:
        return super().add(self._prefix + key, amount)

    def list_keys(self) -> list[str]:
        keys = super().list_keys()
        return [key.removeprefix(self._prefix) for key in keys if key.startswith(self._prefix)]


@caught_by("test_delete_key")
class DeletesTheValueOnly(MemoryStore):
    def delete_key(self, key: str) -> bool:
        if existed := self.check([key]):
            self.set(key, b"0")
        return existed


@caught_by("test_num_keys_and_list_keys")
class CountsItsOwnKeys(MemoryStore):
    def num_keys(self) -> int:
        return super().num_keys() + 1


@caught_by("test_check")
class ChecksAny(MemoryStore):
    def check(self, keys: Sequence[str]) -> bool:
        return not keys or any(super(ChecksAny, self).check([key]) for key in keys)


@caught_by("test_multi_set_of_unequal_length")
class SetsWhatItCan(MemoryStore):
    def multi_set(self, keys: Sequence[str], values: Sequence[Value]) -> None:
        for key, value in zip(keys, values, strict=False):
            self.set(key, value)


@caught_by("test_multi_set_and_multi_get")
class SortsKeys(MemoryStore):
    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        return super().multi_get(sorted(keys))


# Atomicity


@caught_by("test_concurrent_adds", "test_threads_share_a_client")
class AddsInTwoSteps(MemoryStore):
    def add(self, key: str, amount: int) -> int:
        total = int(super().get(key) if self.check([key]) else b"0") + amount
        race()
        self.set(key, str(total))
        return total


@caught_by("test_add_to_no_number[b'text']")
class TakesTextForZero(MemoryStore):
    def add(self, key: str, amount: int) -> int:
        try:
            return super().add(key, amount)
        except ValueError:
            self.set(key, str(amount))
            return amount


@caught_by("test_add")
class AddsOnlyUpwards(MemoryStore):
    def add(self, key: str, amount: int) -> int:
        return super().add(key, max(0, amount))


@caught_by("test_numbers_are_text")
class BinaryNumbers(MemoryStore):
    def get(self, key: str) -> bytes:
        value = super().get(key)
        return int(value).to_bytes(8, "little") if value.isdigit() else value


@caught_by("test_concurrent_appends")
class AppendsInTwoSteps(MemoryStore):
    def append(self, key: str, value: Value) -> None:
        former = super().get(key) if self.check([key]) else b""
        race()
        self.set(key, former + (value.encode() if isinstance(value, str) else value))


@caught_by("test_one_of_many_racers_wins")
class ComparesInOneStepAndSetsInAnother(MemoryStore):
    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        if super().compare_set(key, expected_value, expected_value) == expected_value:
            race()
            self.set(key, desired_value)
        return super().compare_set(key, b"", b"")


@caught_by("test_compare_set[None-old-old-None]")
class WritesWhereThereIsNone(MemoryStore):
    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        return super().compare_set(key, expected_value if self.check([key]) else b"", desired_value)


@caught_by("test_compare_set[old-other-old-old]")
class TellsTheLoserNothing(MemoryStore):
    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        super().compare_set(key, expected_value, desired_value)
        return desired_value.encode() if isinstance(desired_value, str) else desired_value


# Waiting


@caught_by("test_get_blocks_until_the_key_exists", "test_get_of_a_deleted_key_blocks")
class GetDoesNotBlock(MemoryStore):
    def get(self, key: str) -> bytes:
        return super().get(key) if self.check([key]) else b""


@caught_by("test_get_runs_out_of_time")
class RawTimeout(MemoryStore):
    def get(self, key: str) -> bytes:
        try:
            return super().get(key)
        except RendezvousTimeoutError as error:
            raise TimeoutError("timed out") from error


@caught_by("test_get_runs_out_of_time", "test_wait_runs_out_of_time[float]")
class NamesNoKeys(MemoryStore):
    def get(self, key: str) -> bytes:
        self.wait([key])
        return super().get(key)

    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        try:
            super().wait(keys, timeout)
        except RendezvousTimeoutError as error:
            raise RendezvousTimeoutError() from error


@caught_by("test_wait_blocks_until_all_keys_exist")
class WaitsForOneOfThem(MemoryStore):
    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        super().wait(keys[-1:], timeout)


@caught_by("test_wait_runs_out_of_time[timedelta]", "test_wait_runs_out_of_time[float]")
class IgnoresTheTimeout(MemoryStore):
    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        super().wait(keys)


@caught_by("test_wait_without_a_timeout_of_its_own")
class HasATimeoutOfItsOwn(MemoryStore):
    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        super().wait(keys, 300 if timeout is None else timeout)


@caught_by("test_wait_for_no_time_looks_once[0]")
class ZeroMeansForEver(MemoryStore):
    def wait(self, keys: Sequence[str], timeout: Any = None) -> None:
        super().wait(keys, timeout or None)


@caught_by("test_get_runs_out_of_time")
class LosesPatience(MemoryStore):
    def get(self, key: str) -> bytes:
        self.wait([key], self.timeout / 2)
        return super().get(key)


@caught_by("test_every_write_ends_a_wait[add]")
class AddTellsNobody(MemoryStore):
    def add(self, key: str, amount: int) -> int:
        values = self._server._runs[self._run_id].values
        values[key] = b"%d" % (int(values.get(key, 0)) + amount)
        return int(values[key])


@caught_by("test_a_wait_holds_up_nothing", "test_clone")
class OneConnection(MemoryStore):
    """A call that blocks keeps the only connection busy."""

    def __init__(self, server: MemoryServer, run_id: str) -> None:
        super().__init__(server, run_id)
        self._connection = threading.Lock()

    def get(self, key: str) -> bytes:
        with self._connection:
            return super().get(key)

    def set(self, key: str, value: Value) -> None:
        with self._connection:
            super().set(key, value)


@caught_by("test_queue_keeps_the_order")
class Stack(MemoryStore):
    def queue_pop(self, key: str, block: bool = True, timeout: Any = None) -> bytes:
        items = [super(Stack, self).queue_pop(key, block, timeout) for _ in range(self.queue_len(key))]
        for item in items[:-1]:
            self.queue_push(key, item)
        return items[-1]


@caught_by("test_concurrent_queue")
class PopsInTwoSteps(MemoryStore):
    def queue_pop(self, key: str, block: bool = True, timeout: Any = None) -> bytes:
        item = super().queue_pop(key, block, timeout)
        if not block:
            return item
        self.queue_push(key, item)
        race()
        return super().queue_pop(key, block, timeout) and item


@caught_by("test_barrier")
class LetsEverybodyThrough(MemoryStore):
    def barrier(self, key: str, world_size: int, timeout: Any = None) -> None:
        super().barrier(key, 1, timeout)


# Connections


@caught_by("test_unreachable")
class SwallowedDisconnect(RemoteStore):
    """Takes a lost connection for a missing key."""

    def check(self, keys: Sequence[str]) -> bool:
        with suppress(RendezvousConnectionError):
            return super().check(keys)
        return False


@caught_by("test_lost_reply[add]")
class SendsAgain(RemoteStore):
    """Sends an add again whose reply was lost."""

    def add(self, key: str, amount: int) -> int:
        with suppress(RendezvousConnectionError):
            return super().add(key, amount)
        return super().add(key, amount)


@caught_by("test_history_with_lost_connections")
class SendsEverythingAgain(RemoteStore):
    """Sends again whatever got no reply."""

    def __init__(self, port: int, run_id: str) -> None:
        super().__init__(port, run_id)
        self.once, self.call = self.call, self._call

    def _call(self, method: str, *args: object, **kwargs: object) -> Any:
        with suppress(RendezvousConnectionError):
            return self.once(method, *args, **kwargs)
        return self.once(method, *args, **kwargs)


@caught_by("test_waiting_sends_next_to_nothing")
class Polls(RemoteStore):
    def get(self, key: str) -> bytes:
        while not self.check([key]):
            race()
        return super().get(key)


@caught_by("test_cut_while_waiting", "test_restart_while_waiting")
class ForgetsToWatchAgain(RemoteStore):
    """A read whose connection is lost goes on waiting for nothing."""

    def get(self, key: str) -> bytes:
        try:
            return super().get(key)
        except RendezvousConnectionError:
            threading.Event().wait(self.timeout.total_seconds())
            raise


globals().update(BROKEN.suites)
