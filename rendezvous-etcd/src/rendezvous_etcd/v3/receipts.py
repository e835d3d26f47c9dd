"""Transactions that are carried out once, however often they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_bytes, token_hex
from typing import Any

from pyetcd import etcdrpc as rpc

from rendezvous_etcd.v3.client import Etcd3Client
from rendezvous_etcd.v3.errors import LeaseNotFoundError
from rendezvous_etcd.v3.lease import Lease
from rendezvous_etcd.v3.operations import get, put, unchanged


@dataclass
class _Receipt:
    """A key that only one thread writes at a time, along with whatever it writes."""

    key: bytes
    revision: int = 0


class Receipts:
    """The receipts of one client, at keys that start with ``start``, on ``lease``."""

    def __init__(self, client: Etcd3Client, start: bytes, lease: Lease) -> None:
        self._client, self._start, self._lease = client, start, lease
        self._unused: list[_Receipt] = []

    def write(
        self,
        writes: Sequence[rpc.RequestOp],
        compare: Sequence[rpc.Compare] = (),
        reads: Sequence[rpc.RequestOp] = (),
    ) -> Sequence[Any] | None:
        """Write exactly once if ``compare`` holds; otherwise return the answers to ``reads``."""
        receipt = self._unused.pop() if self._unused else _Receipt(self._start + token_hex(8).encode())
        nonce = token_bytes(8)
        # One that expired while it is needed would let a write happen twice.
        self._lease.keep()
        while True:
            answer = self._transact(
                rpc.TxnRequest(
                    compare=[unchanged(receipt.key, receipt.revision), *compare],
                    success=[*writes, put(receipt.key, nonce, self._lease.id)],
                    failure=[get(receipt.key), *reads],
                )
            )
            if answer.succeeded:
                receipt.revision = answer.header.revision
                break
            mine = answer.responses[0].response_range.kvs
            revision = mine[0].mod_revision if mine else 0
            refused, receipt.revision = revision == receipt.revision, revision
            if refused or (mine and mine[0].value == nonce):
                break
        # After an exception it is not known what the receipt holds, and it is not used again.
        self._unused.append(receipt)
        return None if answer.succeeded or not refused else answer.responses[1:]

    def _transact(self, request: rpc.TxnRequest) -> Any:
        try:
            return self._client.transact(request)[0]
        except LeaseNotFoundError:
            self._lease.grant()
            return self._client.transact(request)[0]
