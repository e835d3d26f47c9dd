"""All runs of the legacy protocol in one cluster."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal

import etcd

from rendezvous_core import RendezvousStateError, RunOutline, StoredRun
from rendezvous_etcd.legacy.layout import RANK_TTL, Layout
from rendezvous_etcd.legacy.state import ActiveState, parse_state
from rendezvous_etcd.v2.runs import RunsBelow
from rendezvous_etcd.v2.swap import look


class LegacyRuns(RunsBelow):
    """The runs of the legacy protocol, of torch's nodes too."""

    def read(self) -> Mapping[str, StoredRun | RunOutline]:
        """See base class. What is no state of this protocol is returned as it stands: nobody can read it."""
        found: dict[str, StoredRun | RunOutline] = {}
        for run_id in self._ids():
            layout = Layout(self._path, run_id)
            node, _ = look(self._calls, layout.state)
            if node is None:
                continue
            try:
                state = parse_state(node.value, node.etcd_index, node.modifiedIndex)
            except RendezvousStateError:
                found[run_id] = StoredRun(node.value.encode(), {})
            else:
                found[run_id] = self._outline(layout, state)
        return found

    def delete(self, run_id: str) -> None:
        """See base class."""
        layout = Layout(self._path, run_id)
        with suppress(etcd.EtcdKeyNotFound):
            self._calls.delete(layout.all, safe=True, recursive=True)
            if not self._folders(layout.run):  # else there are ids that begin with this one and a slash
                self._calls.delete(layout.run, safe=True, dir=True)

    def _ids(self) -> Iterator[str]:
        for key in self._folders(self._path):
            if key.startswith(f"{self._path}run_"):
                yield from self._ids_at(key, key.removeprefix(f"{self._path}run_"))

    def _ids_at(self, path: str, run_id: str) -> Iterator[str]:
        """Those in ``path`` and below: an id with slashes is a path of its own."""
        for key in self._folders(path):
            name = key.rpartition("/")[2]
            if name == "rdzv":
                yield run_id
            else:
                yield from self._ids_at(key, f"{run_id}/{name}")

    def _outline(self, layout: Layout, state: ActiveState) -> RunOutline:
        keys, _ = look(self._calls, layout.version(state.version)) if state.version else (None, 0)
        alive = {each.key: _silence(each) for each in keys.leaves} if keys else {}
        ranks = [alive.get(layout.rank(state.version, rank)) for rank in state.participants]
        phase = _phase(state.status)
        number = int(state.version) if state.version.isdecimal() else 0
        return RunOutline(phase, number, ranks, state.waiting if phase == "complete" else 0)


def _phase(status: str) -> Literal["joining", "complete", "closed"]:
    match status:
        case "final":
            return "complete"
        case "closed":
            return "closed"
        case _:
            return "joining"


def _silence(key: Any) -> float:
    """Tell by what is left of its life when a key was renewed."""
    return float(max(0, RANK_TTL - (key.ttl or 0)))
