"""Where the legacy protocol keeps what, and for how long."""

from rendezvous_etcd.options import runs_path

SETUP_TTL = 5
ROUND_TTL = 10
"""Of a state that somebody has to bring forward: joinable once there are enough nodes, or frozen."""
RANK_TTL = 10
CLOSED_TTL = 2 * 60 * 60


class Layout:
    """The keys of one run, under ``<prefix>/run_<run_id>/rdzv``.

    torch gives the directory of the run a time to live of two hours and fails to renew it, since
    etcd has no way to: after that all of the run is gone. Here it has none.
    """

    def __init__(self, prefix: str, run_id: str) -> None:
        self.run = f"{runs_path(prefix)}run_{run_id}"
        self.all = f"{self.run}/rdzv"
        self.state = f"{self.all}/active_version"
        self.counter = f"{self.all}/version_counter"

    def version(self, version: str) -> str:
        """The directory of a round."""
        return f"{self.all}/v_{version}"

    def rank(self, version: str, rank: int) -> str:
        """The key that a node keeps alive while it is part of a round."""
        return f"{self.version(version)}/rank_{rank}"

    def store(self, version: str) -> str:
        """The directory of a round's store."""
        return f"{self.version(version)}/kv"

    def extra_data(self, version: str) -> str:
        """The key of the data that nodes tell each other beside the store."""
        return f"{self.version(version)}/extra_data"
