"""The operations and conditions of which transactions are made."""

from pyetcd import etcdrpc as rpc


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that start with ``prefix``."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def put(key: bytes, value: bytes, lease: int = 0) -> rpc.RequestOp:
    """The operation of a transaction that writes a key."""
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value, lease=lease))


def get(key: bytes, end: bytes = b"") -> rpc.RequestOp:
    """The operation of a transaction that reads a key, or a range of keys."""
    return rpc.RequestOp(request_range=rpc.RangeRequest(key=key, range_end=end))


def delete(key: bytes, end: bytes = b"") -> rpc.RequestOp:
    """The operation of a transaction that deletes a key, or a range of keys."""
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=key, range_end=end))


def unchanged(key: bytes, revision: int) -> rpc.Compare:
    """The condition that a key was last modified in ``revision``; 0 stands for a missing key."""
    return rpc.Compare(key=key, target=rpc.Compare.MOD, result=rpc.Compare.EQUAL, mod_revision=revision)


def holds(key: bytes, value: bytes) -> rpc.Compare:
    """The condition that a key has a value."""
    return rpc.Compare(key=key, target=rpc.Compare.VALUE, result=rpc.Compare.EQUAL, value=value)
