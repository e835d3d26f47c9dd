"""The backend: the state in a node with a version, members in ephemeral nodes, news by watches."""

import time
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import unquote

from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError

from rendezvous_core import Members, MembershipBackend, Token
from rendezvous_zookeeper.session import Session, znode

ROOT = "/rendezvous"


class _Version(NamedTuple):
    """Which write of a node it was; the first part tells nodes apart that had the same path."""

    created: int
    version: int


class ZookeeperBackend(MembershipBackend):
    """Keeps one run below ``<root>/=<run_id, percent-encoded>``.

    ``state`` holds the state. ``members/=<node>`` holds a record and goes when its session does: a
    node that died is not listed for longer than the session's timeout. ``news`` is written with
    every announcement. Closing the backend closes ``session``.

    Raises:
        ValueError: an empty run id.
    """

    def __init__(self, session: Session, run_id: str, root: str = ROOT) -> None:
        if not run_id:
            raise ValueError("The run id must be a non-empty string.")
        self.session = session
        self.path = f"{root}/{znode(run_id)}"
        self._state = f"{self.path}/state"
        self._news = f"{self.path}/news"
        self._members = f"{self.path}/members"

    @property
    def name(self) -> str:
        return "zookeeper"

    def get_state(self) -> tuple[bytes, Token] | None:
        try:
            state, stat = self.session.read("get", self._state)
        except NoNodeError:
            return None
        return state, _version(stat)

    def set_state(self, state: bytes, token: Token | None = None) -> tuple[bytes, Token, bool] | None:
        found = None if token is None else self.get_state()
        with suppress(BadVersionError, NodeExistsError, NoNodeError):
            if token is None:
                return state, _version(self.session.create(self._state, state)), True
            if found is not None and found[1] == token:
                stat = self.session.call("set", self._state, state, version=found[1].version)
                return state, _version(stat), True
        found = self.get_state()
        return None if found is None else (*found, False)

    def put_member(self, node: str, record: bytes, *, announce: bool) -> None:
        path = f"{self._members}/{znode(node)}"
        stat = self.session.put(path, record, ephemeral=True)
        if stat.ephemeralOwner != self.session.id:  # it is of a session that was lost, and will go with it
            with suppress(NoNodeError):
                self.session.call("delete", path)
            self.session.put(path, record, ephemeral=True)
        if announce:
            self.session.put(self._news, b"")

    def remove_member(self, node: str) -> None:
        with suppress(NoNodeError):
            self.session.call("delete", f"{self._members}/{znode(node)}")

    def members(self) -> Members:
        news = _version(self.session.read("exists", self._news))  # before the records, so as to miss none
        try:
            nodes = self.session.read("get_children", self._members)
        except NoNodeError:
            nodes = []
        records = self.session.read_all([f"{self._members}/{node}" for node in nodes])
        return Members({_node(path): record for path, record in records.items()}, news)

    def wait_for_change(self, token: Token | None, timeout: float, members: Token | None = None) -> bool:
        deadline = time.monotonic() + timeout
        while True:
            rings = self.session.rings
            stat = self.session.read("exists", self._state, watch=self.session.ring)
            if (_version(stat) if stat else None) != token:
                return True
            if members is not None:
                news = self.session.read("exists", self._news, watch=self.session.ring)
                if _version(news) != members:
                    return True
            if not self.session.listen(rings, deadline - time.monotonic()):
                return False

    def close(self) -> None:
        self.session.close()


def _version(stat: Any) -> _Version:
    return _Version(stat.czxid, stat.version) if stat else _Version(0, 0)


def _node(path: str) -> str:
    return unquote(path.rpartition("/=")[2])
