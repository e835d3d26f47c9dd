"""Nodes of torch, and where they meet ours."""

from datetime import timedelta
from typing import Any

from tests.support.missing import need

need("torch")


def torch_store(client: Any, prefix: str, timeout: timedelta) -> Any:
    """torch's store."""
    from torch.distributed.elastic.rendezvous.etcd_store import EtcdStore

    return EtcdStore(client, prefix, timeout)


def torch_handler(endpoint: str, run_id: str, min_nodes: int, max_nodes: int, **options: Any) -> Any:
    """torch's legacy handler."""
    from torch.distributed.elastic.rendezvous import RendezvousParameters
    from torch.distributed.elastic.rendezvous.etcd_rendezvous import create_rdzv_handler

    return create_rdzv_handler(
        RendezvousParameters("etcd", endpoint, run_id, min_nodes, max_nodes, "127.0.0.9", **options)
    )
