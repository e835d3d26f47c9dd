"""All runs below one root."""

from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote

from kazoo.exceptions import NoNodeError, NotEmptyError

from rendezvous_core import Runs, StoredRun
from rendezvous_zookeeper.backend import ROOT, ZookeeperBackend
from rendezvous_zookeeper.session import Session, znode


class ZookeeperRuns(Runs):
    """The runs below ``root``. Closing it closes ``session``."""

    def __init__(self, session: Session, root: str = ROOT) -> None:
        self._session, self._root = session, root

    def read(self) -> Mapping[str, StoredRun]:
        runs = {}
        for run_id in [unquote(name.removeprefix("=")) for name in self._children(self._root)]:
            backend = ZookeeperBackend(self._session, run_id, self._root)
            if found := backend.get_state():
                runs[run_id] = StoredRun(found[0], backend.members().records)
        return runs

    def delete(self, run_id: str) -> None:
        self._remove(f"{self._root}/{znode(run_id)}")

    def close(self) -> None:
        self._session.close()

    def _children(self, path: str) -> list[str]:
        with suppress(NoNodeError):
            return list(self._session.read("get_children", path))
        return []

    def _remove(self, path: str) -> None:
        while True:
            for name in self._children(path):
                self._remove(f"{path}/{name}")
            try:
                self._session.call("delete", path)
            except NotEmptyError:
                continue  # somebody who lives has written meanwhile
            except NoNodeError:
                pass
            return
