"""All runs below one prefix."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Self

import etcd

from rendezvous_core import Runs, StoredRun
from rendezvous_etcd.options import Connection, run_path, segment_text
from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.swap import look


class RunsBelow(Runs):
    """All runs below ``path``, which ends with a slash. Closing it closes ``calls``."""

    def __init__(self, calls: EtcdCalls, path: str) -> None:
        self._calls, self._path = calls, path

    @classmethod
    def opened(cls, connection: Connection, path: str) -> Self:
        """Open those of a cluster that is waited for.

        Raises:
            RendezvousConnectionError: the cluster cannot be reached, or has no v2 API.
            RendezvousStateError: it does not let this user read.
        """
        calls = EtcdCalls.from_connection(connection)
        runs = cls(calls, path)
        try:
            calls.patience.connect(runs.connect, connection.connect_timeout)
        except BaseException:
            calls.close()
            raise
        return runs

    def connect(self) -> None:
        """Look whether the cluster can be reached, and read."""
        look(self._calls, self._path)

    def close(self) -> None:
        """See base class."""
        self._calls.close()

    def _folders(self, path: str) -> list[str]:
        listed, _ = look(self._calls, path)
        return [each.key for each in listed.leaves if each.dir and each.key != listed.key] if listed else []


class EtcdRuns(RunsBelow):
    """The runs of ``etcd-v2``."""

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        names = [key.rpartition("/")[2] for key in self._folders(self._path)]
        runs = {}
        for run_id in map(segment_text, names):
            backend = EtcdRendezvousBackend(self._calls, run_id, self._path)
            if found := backend.get_state():
                runs[run_id] = StoredRun(found[0], backend.members().records)
        return runs

    def delete(self, run_id: str) -> None:
        """See base class."""
        with suppress(etcd.EtcdKeyNotFound):
            self._calls.delete(run_path(self._path, run_id), safe=True, recursive=True)
