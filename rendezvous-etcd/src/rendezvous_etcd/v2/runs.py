"""All runs below one prefix."""

from collections.abc import Mapping
from contextlib import suppress

import etcd

from rendezvous_core import Runs, StoredRun
from rendezvous_etcd.options import run_path, runs_path, segment_text
from rendezvous_etcd.v2.backend import EtcdRendezvousBackend
from rendezvous_etcd.v2.client import EtcdCalls
from rendezvous_etcd.v2.swap import look


class EtcdRuns(Runs):
    """The runs below ``key_prefix``. Closing it closes ``calls``."""

    def __init__(self, calls: EtcdCalls, key_prefix: str | None = None) -> None:
        self._calls, self._prefix = calls, key_prefix

    def connect(self) -> None:
        """Look whether the cluster can be reached, and read; need not be called."""
        look(self._calls, runs_path(self._prefix))

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        listed, _ = look(self._calls, runs_path(self._prefix))
        names = [each.key.rpartition("/")[2] for each in listed.leaves if each.dir] if listed else []
        runs = {}
        for run_id in map(segment_text, names):
            backend = EtcdRendezvousBackend(self._calls, run_id, self._prefix)
            if found := backend.get_state():
                runs[run_id] = StoredRun(found[0], backend.members().records)
        return runs

    def delete(self, run_id: str) -> None:
        """See base class."""
        with suppress(etcd.EtcdKeyNotFound):
            self._calls.delete(run_path(self._prefix, run_id), safe=True, recursive=True)

    def close(self) -> None:
        """See base class."""
        self._calls.close()
