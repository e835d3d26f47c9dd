"""A node's part in a round: it keeps its rank alive, and notices when others do not."""

import logging
import threading
from contextlib import suppress

import etcd

from rendezvous_core import RendezvousError
from rendezvous_etcd.legacy.layout import RANK_TTL, Layout
from rendezvous_etcd.legacy.state import ActiveState
from rendezvous_etcd.v2.client import EtcdCalls

_logger = logging.getLogger("rendezvous_etcd")


class Membership:
    """Renews the key of a rank from a thread, until `end` is called."""

    def __init__(self, calls: EtcdCalls, layout: Layout, version: str, rank: int) -> None:
        self.version = version
        self.somebody_is_gone = False
        """Whether a participant has let its rank expire."""
        self._calls = calls
        self._layout = layout
        self._rank = layout.rank(version, rank)
        self._round: ActiveState | None = None
        self._missed: set[str] = set()
        self._over = threading.Event()
        threading.Thread(target=self._run, name=f"rendezvous-etcd-rank-{rank}", daemon=True).start()

    def complete(self, state: ActiveState) -> None:
        """Tell it that the round is final."""
        self._round = state

    def end(self) -> None:
        """Let the rank expire."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(RANK_TTL / 4):
            try:
                self._renew()
                self._look_at_others()
            except RendezvousError as error:
                _logger.warning("The rank of this node could not be renewed: %s", error)
            except Exception:
                _logger.exception("The rank of this node could not be renewed.")

    def _renew(self) -> None:
        try:
            self._calls.write(self._rank, None, safe=True, ttl=RANK_TTL, refresh=True, prevExist=True)
        except etcd.EtcdKeyNotFound:
            # This node was paused for too long, or the directory of the run has expired.
            if not self._over.is_set():
                self._calls.write(self._rank, "", safe=True, ttl=RANK_TTL)
                self._restore()

    def _restore(self) -> None:
        """Bring back a run whose directory torch has made, with a time to live that nobody can renew."""
        if self._round is None:
            return
        with suppress(etcd.EtcdAlreadyExist):
            self._calls.write(self._layout.counter, self.version, safe=True, prevExist=False)
            # There was no counter: it was not only the state that somebody has taken away.
            self._calls.write(self._layout.state, self._round.value, safe=True, prevExist=False)

    def _look_at_others(self) -> None:
        if self._round is None:
            return
        missing = set(missing_ranks(self._calls, self._layout, self._round))
        # Whoever is alive puts back within one look what went with the directory of the run.
        self.somebody_is_gone |= bool(missing & self._missed)
        self._missed = missing


def missing_ranks(calls: EtcdCalls, layout: Layout, state: ActiveState) -> list[str]:
    """The keys of the participants who do not keep theirs alive."""
    try:
        alive = {each.key for each in calls.read(layout.version(state.version)).leaves}
    except etcd.EtcdKeyNotFound:
        alive = set()
    return [key for key in state.keep_alives if key not in alive]
