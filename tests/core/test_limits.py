"""What users may give: every mistake is named with its range, and what is written can be read."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rendezvous_core import (
    DynamicRendezvousHandler,
    RendezvousParameters,
    RendezvousSettings,
    RendezvousTimeout,
)
from rendezvous_core.dynamic.creation import create_handler
from rendezvous_core.ports.limits import MAX_ADDRESS, MAX_METADATA, MAX_NODES, MAX_RUN_ID, MAX_SECONDS
from rendezvous_core.records.codec import (
    decode_member,
    decode_state,
    encode_member,
    encode_state,
)
from rendezvous_core.records.member import Member
from rendezvous_core.records.ranges import MAX_MEMBER
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.testing import MemoryBackend, MemoryServer, MemoryStore


class Index:
    """An integer of some library, as numpy's are."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


def params(**changes: Any) -> RendezvousParameters:
    given = {"backend": "memory", "endpoint": "", "run_id": "run", "min_nodes": 1, "max_nodes": 2}
    return RendezvousParameters(**{**given, **changes})


def settings(**changes: Any) -> RendezvousSettings:
    given: dict[str, Any] = {
        "run_id": "run",
        "min_nodes": 1,
        "max_nodes": 2,
        "timeout": RendezvousTimeout(),
        "keep_alive_interval": timedelta(seconds=5),
        "keep_alive_max_attempt": 3,
    }
    return RendezvousSettings(**{**given, **changes})


def from_backend(**changes: Any) -> DynamicRendezvousHandler:
    server = MemoryServer()
    given: dict[str, Any] = {"run_id": "run", "min_nodes": 1, "max_nodes": 2, "local_addr": "here"}
    parts = {"store": MemoryStore(server), "backend": MemoryBackend(server, "run")}
    return DynamicRendezvousHandler.from_backend(**{**given, **parts, **changes})


def created(**options: Any) -> DynamicRendezvousHandler:
    server = MemoryServer()
    return create_handler(MemoryStore(server), MemoryBackend(server, "run"), params(**options))


NODES = [4.0, 1.5, True, "4", None, float("nan"), 10**5000, -(10**30), MAX_NODES + 1, [], Unshowable()]


@pytest.mark.parametrize("build", [params, settings, from_backend])
@pytest.mark.parametrize("name", ["min_nodes", "max_nodes"])
@pytest.mark.parametrize("value", NODES, ids=lambda value: f"{type(value).__name__}")
def test_numbers_of_nodes_are_integers(build: Callable[..., object], name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name}\b.* from 1 to {MAX_NODES}"):
        build(**{name: value})


@pytest.mark.parametrize("build", [params, settings])
def test_integers_of_other_libraries_become_pythons(build: Callable[..., Any]) -> None:
    built = build(min_nodes=Index(2), max_nodes=Index(3))
    assert (type(built.min_nodes), built.min_nodes, built.max_nodes) == (int, 2, 3)


@pytest.mark.parametrize("build", [params, settings, from_backend])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (5, "must be text"),
        (None, "must be text"),
        (b"run", "must be text"),
        ("\ud800", "cannot be written as UTF-8"),
        ("run\udcff", "cannot be written as UTF-8"),
        ("x" * (MAX_RUN_ID + 1), f"has {MAX_RUN_ID + 1} characters; it may have {MAX_RUN_ID}"),
    ],
)
def test_a_run_id_is_text(build: Callable[..., object], value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"[Tt]he run id \(.*{problem}") as refused:
        build(run_id=value)
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("build", [settings, from_backend])
def test_a_run_has_an_id(build: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="The run id must be a non-empty string"):
        build(run_id="")


@pytest.mark.parametrize("build", [params, from_backend])
@pytest.mark.parametrize("value", [5, b"host", "\ud800", "a b", "a\n", "a\0b", "x" * (MAX_ADDRESS + 1)])
def test_an_address_is_that_of_a_host(build: Callable[..., object], value: object) -> None:
    with pytest.raises(ValueError, match="local_addr"):
        build(local_addr=value)


@pytest.mark.parametrize("value", [5, b"host", "\ud800", "x" * 70_000])
def test_an_endpoint_is_text(value: object) -> None:
    with pytest.raises(ValueError, match=r"The endpoint \("):
        params(endpoint=value)


def test_no_endpoint_is_an_empty_one() -> None:
    assert params(endpoint=None).endpoint == ""


@pytest.mark.parametrize("value", [5, b"redis", "\ud800", "x" * 70_000])
def test_a_backend_is_a_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"backend name \("):
        params(backend=value)


@pytest.mark.parametrize("name", ["join", "last_call", "close", "heartbeat"])
@pytest.mark.parametrize(
    "value",
    [timedelta(0), timedelta(days=-1, seconds=86399), timedelta(microseconds=1), timedelta.max],
    ids=str,
)
def test_a_timeout_out_of_range_is_named_in_seconds(name: str, value: timedelta) -> None:
    with pytest.raises(
        ValueError, match=rf"The {name} timeout \([-0-9.e+]+ seconds\).* from 0\.001 to "
    ) as refused:
        RendezvousTimeout(**{name: value})
    assert "day" not in str(refused.value)


@pytest.mark.parametrize("value", [5, 1.5, "5", float("nan")])
def test_a_timeout_is_a_timedelta(value: Any) -> None:
    with pytest.raises(ValueError, match=r"The join timeout \(.*\) must be a timedelta, as timedelta"):
        RendezvousTimeout(join=value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("keep_alive_interval", timedelta(0), r"from 0\.001 to 86400"),
        ("keep_alive_interval", timedelta(days=2), r"from 0\.001 to 86400"),
        ("keep_alive_interval", 5, "a timedelta"),
        ("keep_alive_max_attempt", 0, "from 1 to 10000"),
        ("keep_alive_max_attempt", 2.5, "from 1 to 10000"),
        ("keep_alive_max_attempt", 10**30, "from 1 to 10000"),
        ("timeout", 5, "a RendezvousTimeout"),
    ],
)
def test_settings_have_ranges(name: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=rf"{name.rpartition('_')[2]} \(.*\) must be .*{expected}"):
        settings(**{name: value})


SECONDS = [
    "soon",
    "",
    "nan",
    "inf",
    "-1",
    "0",
    "1e10",
    "1e400",
    1e10,
    -1,
    0,
    True,
    [],
    10**5000,
    Unshowable(),
]
OPTIONS = ["join_timeout", "last_call_timeout", "close_timeout", "heartbeat_timeout", "keep_alive_interval"]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("value", SECONDS, ids=lambda each: f"{type(each).__name__}")
def test_an_option_out_of_range_is_named_with_its_range(name: str, value: object) -> None:
    with pytest.raises(
        ValueError, match=rf"The option '{name}' \(.*\) must be a positive number of seconds from 0\.001 to "
    ) as refused:
        created(**{name: value})
    assert len(str(refused.value)) < 250


@pytest.mark.parametrize("value", [-1, "soon", 1e10, float("nan"), True, None, [], 10**400])
def test_seconds_of_from_backend_have_a_range(value: object) -> None:
    with pytest.raises(ValueError, match=r"'keep_alive_interval' \(.*\) must be .* from 0\.001 to 86400"):
        from_backend(keep_alive_interval=value)


@pytest.mark.parametrize("value", ["two", "2.5", 2.5, 0, "-1", 10**30, True, []], ids=str)
def test_a_count_out_of_range_is_named_with_its_range(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"'keep_alive_max_attempt' \(.*\) must be an integer from 1 to 10000"
    ):
        created(keep_alive_max_attempt=value)


@pytest.mark.parametrize(
    "value",
    [
        "rack",
        "=r1",
        ";",
        5,
        ["rack"],
        {"rack": 5},
        {5: "r1"},
        {"rack": "\ud800"},
        {"rack": "x" * MAX_METADATA},
        {str(number): "x" * 90 for number in range(99)},
    ],
    ids=lambda value: f"{value!a:.20}",
)
def test_metadata_is_text_of_bounded_size(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"'metadata' \(.*\) must be as rack=r1.*{MAX_METADATA} bytes"):
        created(metadata=value)
    if not isinstance(value, str):
        with pytest.raises(ValueError, match=r"metadata .*(text to text|UTF-8|8192)"):
            from_backend(metadata=value)


@pytest.mark.parametrize(
    ("value", "metadata"),
    [
        ("rack=r1;zone=a", {"rack": "r1", "zone": "a"}),
        (" rack = r1 ", {"rack": "r1"}),
        ("url=http://a?b=c", {"url": "http://a?b=c"}),
        ("", {}),
        ({}, {}),
        ({"rack": ""}, {"rack": ""}),
        (None, {}),
    ],
)
def test_metadata_as_text_and_as_a_mapping(value: Any, metadata: dict[str, str]) -> None:
    assert created(metadata=value)._driver.node.member.metadata == metadata


def test_none_takes_the_default() -> None:
    handler = created(**dict.fromkeys([*OPTIONS, "keep_alive_max_attempt"]))
    assert handler.settings.timeout.join == timedelta(seconds=600)
    assert handler.settings.keep_alive_interval == timedelta(seconds=5)
    assert handler.settings.keep_alive_max_attempt == 3


@pytest.mark.parametrize("timeout", ["5", float("nan"), 1e10, True, []], ids=repr)
def test_a_wait_for_the_others_has_a_limit(timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="timeout"):
        from_backend().wait_for_membership_change(timeout)


def test_the_greatest_of_everything_can_be_read_again() -> None:
    """Control characters take six bytes each in JSON: the worst case of what is given must fit."""
    longest = timedelta(seconds=MAX_SECONDS)
    handler = from_backend(
        run_id="\1" * MAX_RUN_ID,
        min_nodes=MAX_NODES,
        max_nodes=MAX_NODES,
        local_addr="\u540d" * MAX_ADDRESS,
        keep_alive_interval=8.64,
        keep_alive_max_attempt=10_000,
        metadata={"\1": "\1" * (MAX_METADATA - 1)},
        timeout=RendezvousTimeout(longest, longest, longest, timedelta(days=1)),
    )
    member: Member = handler._driver.node.member
    assert decode_member(encode_member(member)) == member
    assert len(encode_member(member)) < MAX_MEMBER
    seats = (Seat(member.node, 1, member.dead_after),)
    state = State(
        run=handler.get_run_id(),
        settings=Settings(1, MAX_NODES),
        phase="complete",
        round_id="1",
        roster=seats,
        lease=member.dead_after,
    )
    assert decode_state(encode_state(state)) == state


@pytest.mark.parametrize("least", [0.001, 0.0015])
def test_the_least_of_everything_can_be_used(least: float) -> None:
    handler = created(keep_alive_interval=least, keep_alive_max_attempt=1, last_call_timeout=least)
    assert decode_member(encode_member(handler._driver.node.member)).dead_after == least


def test_a_node_is_dead_within_a_day() -> None:
    with pytest.raises(
        ValueError, match=r"keep_alive_interval times keep_alive_max_attempt \(90000 s\) must"
    ):
        settings(keep_alive_interval=timedelta(seconds=9), keep_alive_max_attempt=10_000)
