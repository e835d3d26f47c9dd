"""Finds the server that holds a run: the one there is, a Sentinel's master, or a cluster's node."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from redis.crc import key_slot
from redis.exceptions import ConnectionError, MovedError, RedisError

from rendezvous_core import Endpoint
from rendezvous_redis._errors import AskedError, NoMasterError, UnknownMasterError, is_passing
from rendezvous_redis._link import Address, Command, Link
from rendezvous_redis._replies import Kind, Slots, first_text, listed, optional, place, slots
from rendezvous_redis._target import Target

T = TypeVar("T")

_PATIENCE = 1.0
"""Seconds after which the next one is asked."""


class Locator(Protocol):
    """Knows how to find the server and to make sure that it is the right one."""

    good_for: float
    """After how many seconds it should be asked again, if nothing else calls for it."""

    def locate(self, deadline: float) -> Address:
        """Return where the server is now. Raises what redis-py raises, and `NoMasterError`."""

    def admit(self, link: Link) -> None:
        """Raise unless ``link``, which is new, leads to a server that may be used."""


def locator_of(target: Target, key: str) -> Locator:
    """Choose the way to find the server of ``target`` that holds ``key``."""
    match target.scheme:
        case "sentinel":
            return _Sentinels(target)
        case "cluster":
            return _Cluster(target, key_slot(key.encode()))
    return _Fixed(target)


class _Fixed:
    good_for = math.inf

    def __init__(self, target: Target) -> None:
        self._address: Address = target.path or target.hosts[0]

    def locate(self, deadline: float) -> Address:
        return self._address

    def admit(self, link: Link) -> None:
        """There is no other."""


class _Sentinels:
    """Asks the Sentinels, the one that answered last first.

    After a failover that an administrator asked for they leave the former primary as it is for some
    ten seconds; it would take writes that are lost.
    """

    good_for = 1.0

    def __init__(self, target: Target) -> None:
        self._target = target
        self._hosts = target.hosts

    def locate(self, deadline: float) -> Address:
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._target.master)
        failures: dict[Endpoint, RedisError] = {}
        for host in self._hosts:
            try:
                found = _ask(optional(place), self._target, host, command, deadline, sentinel=True)
            except RedisError as error:
                failures[host] = error
                continue
            if found:
                self._hosts = tuple(dict.fromkeys((host, *self._hosts)))
                return found
        if not failures:
            raise UnknownMasterError(f"the Sentinels know no master named {self._target.master!r}")
        raise _failure("Sentinel", failures)

    def admit(self, link: Link) -> None:
        """A Sentinel may still name a server that has just been, or is about to be, deposed."""
        role = first_text(link.exchange(("ROLE",))[0])
        if role != "master":
            raise NoMasterError(f"{link.address} is a {role:.20}, not yet or no longer the master")


class _Cluster:
    """Asks the nodes, also those that the endpoint did not name, who serves a slot."""

    good_for = math.inf

    def __init__(self, target: Target, slot: int) -> None:
        self._target = target
        self._slot = slot
        self._nodes = target.hosts

    def locate(self, deadline: float) -> Address:
        failures: dict[Endpoint, RedisError] = {}
        for node in self._nodes:
            try:
                ranges = _ask(listed(slots), self._target, node, ("CLUSTER", "SLOTS"), deadline)
            except RedisError as error:
                failures[node] = error
                continue
            owner, nodes = _read_slots(ranges, self._slot, node)
            if owner is not None:
                self._nodes = tuple(dict.fromkeys((*nodes, *self._target.hosts)))
                return owner
            failures[node] = NoMasterError(f"knows nobody who serves slot {self._slot}")
        raise _failure("node", failures)

    def admit(self, link: Link) -> None:
        """The wrong node says so itself, at the first command."""


def primaries(ranges: Sequence[Slots], link: Link) -> list[Address]:
    """Return who serves ``ranges``, the answer of the node of a cluster that ``link`` leads to."""
    asked = _asked(link)
    return list(dict.fromkeys(_address(asked, each.servers[0]) for each in ranges if each.servers))


def moved_to(error: MovedError, link: Link) -> Address | None:
    """Return where the node of a cluster that ``link`` leads to says that the slot is."""
    asked = _asked(link)
    if error.host == "?":
        ranges = listed(slots)(link.exchange(("CLUSTER", "SLOTS"))[0])
        return _read_slots(ranges, error.slot_id, asked)[0]
    return Endpoint(error.host or asked.host, error.port)


def _asked(link: Link) -> Endpoint:
    return link.address if isinstance(link.address, Endpoint) else Endpoint("localhost", 0)


def _read_slots(
    ranges: Sequence[Slots], slot: int, asked: Endpoint
) -> tuple[Endpoint | None, list[Endpoint]]:
    """Return the node that serves ``slot``, and all nodes, as ``asked`` names them."""
    owner, nodes = None, []
    for first, last, servers in ranges:
        named = [_address(asked, server) for server in servers]
        nodes += named
        if named and first <= slot <= last:
            owner = named[0]
    return owner, nodes


def _address(asked: Endpoint, server: Endpoint) -> Endpoint:
    return Endpoint(server.host or asked.host, server.port)


def _failure(kind: str, failures: Mapping[Endpoint, RedisError]) -> RedisError:
    """Sum up what those who were asked have said; one that refuses is to be told at once."""
    for host, error in failures.items():
        if not is_passing(error):
            refused = AskedError(f"the {kind} {host}: {error}")
            refused.__cause__ = error
            return refused
    told = "; ".join(f"{host}: {error}" for host, error in failures.items())
    return NoMasterError(f"no {kind} tells where the server is: {told}")


def _ask(
    kind: Kind[T], target: Target, host: Endpoint, command: Command, deadline: float, sentinel: bool = False
) -> T:
    timeout = min(deadline - time.monotonic(), _PATIENCE)
    if timeout <= 0:
        raise ConnectionError("no time left to ask")
    link = Link(target, host, timeout, sentinel=sentinel)
    try:
        return kind(link.exchange(command)[0])
    finally:
        link.close()
