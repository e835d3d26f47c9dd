"""Whether the user may do what will be done."""

from collections.abc import Sequence

from pyetcd import etcdrpc as rpc

from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.operations import prefix_end, put, unchanged


def check_permissions(client: Etcd3Client, path: bytes, names: Sequence[bytes]) -> None:
    """Ask for writes of ``names`` that cannot happen: servers check beforehand whether they would allow them.

    Raises:
        RendezvousStateError: they would not, or not that all below ``path`` is read.
    """
    read = rpc.RangeRequest(key=path, range_end=prefix_end(path), count_only=True, limit=1)
    client.call(
        "Txn",
        rpc.TxnRequest(
            compare=[unchanged(path, 0), unchanged(path, 1)],
            success=[put(path + name, b"") for name in names],
            failure=[rpc.RequestOp(request_range=read)],
        ),
    )
