"""Several keys as they stood at the same time.

Not by a transaction: one that only reads ends the server, up to etcd 3.5.6, if its client goes away.
"""

from collections.abc import Sequence

from pyetcd import etcdrpc as rpc

from rendezvous_core import RendezvousConnectionError
from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.errors import RevisionGoneError

_BATCH = 100
_ATTEMPTS = 5


def read_all(client: Etcd3Client, keys: Sequence[bytes], keys_only: bool = False) -> dict[bytes, bytes]:
    """Return what is there of ``keys``, which are all different.

    Raises:
        RendezvousConnectionError: they could not be read.
    """
    for _ in range(_ATTEMPTS):
        try:
            return _read(client, [rpc.RangeRequest(key=key, keys_only=keys_only) for key in keys])
        except RevisionGoneError as error:
            failure = error
    raise RendezvousConnectionError(
        f"etcd at {client.connection} forgets revisions before they can be read: compact it less often."
    ) from failure


def _read(client: Etcd3Client, requests: Sequence[rpc.RangeRequest]) -> dict[bytes, bytes]:
    answers = [client.call("Range", each) for each in requests[:1]]
    for each in requests[1:]:
        each.revision = answers[0].header.revision
    for start in range(1, len(requests), _BATCH):
        answers += client.call("Ranges", requests[start : start + _BATCH])
    return {answer.kvs[0].key: answer.kvs[0].value for answer in answers if answer.kvs}
