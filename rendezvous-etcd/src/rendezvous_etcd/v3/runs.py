"""All runs below one prefix."""

from collections.abc import Iterator, Mapping

from pyetcd import etcdrpc as rpc

from rendezvous_core import Runs, StoredRun
from rendezvous_etcd.options import run_path, runs_path, segment_text
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.operations import prefix_end
from rendezvous_etcd.v3.register import NONCE


class Etcd3Runs(Runs):
    """The runs below ``key_prefix``. Closing it closes ``client``."""

    def __init__(self, client: Etcd3Client, key_prefix: str | None = None) -> None:
        self._client, self._prefix = client, key_prefix

    def connect(self) -> None:
        """Look whether the cluster can be reached, and read; need not be called."""
        next(self._names(), None)

    def read(self) -> Mapping[str, StoredRun]:
        """See base class."""
        runs = {}
        for name in self._names():
            path = self._above + name + b"/"
            values = self._range(path + b"state", path + b"token\0")
            if (state := values.get(path + b"state")) is not None and path + b"token" in values:
                start = path + b"who/"
                records = self._range(start, prefix_end(start))
                members = {
                    key[len(start) :].decode(errors="backslashreplace"): value[NONCE:]
                    for key, value in records.items()
                }
                runs[segment_text(name.decode(errors="replace"))] = StoredRun(state, members)
        return runs

    def delete(self, run_id: str) -> None:
        """See base class; atomic here."""
        path = f"{run_path(self._prefix, run_id)}/".encode()
        self._client.call("DeleteRange", rpc.DeleteRangeRequest(key=path, range_end=prefix_end(path)))

    def close(self) -> None:
        """See base class."""
        self._client.close()

    @property
    def _above(self) -> bytes:
        return runs_path(self._prefix).encode()

    def _names(self) -> Iterator[bytes]:
        """The first segments of all keys, each found by the first key behind those of the one before."""
        above = self._above
        start, end = above, prefix_end(above)
        while found := self._client.call(
            "Range", rpc.RangeRequest(key=start, range_end=end, limit=1, keys_only=True)
        ).kvs:
            name, slash, _ = found[0].key[len(above) :].partition(b"/")
            if slash:
                yield name
            start = prefix_end(above + name + slash) if slash else found[0].key + b"\0"

    def _range(self, start: bytes, end: bytes) -> dict[bytes, bytes]:
        answer = self._client.call("Range", rpc.RangeRequest(key=start, range_end=end))
        return {each.key: each.value for each in answer.kvs}
