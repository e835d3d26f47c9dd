"""Elastic rendezvous for PyTorch: over torch's own stores, and under a stock torchrun."""

from rendezvous_c10d._backend import C10dRendezvousBackend
from rendezvous_c10d._creation import create_backend
from rendezvous_c10d._round_store import host_tcp_store
from rendezvous_c10d._torch_store import as_torch_store

__all__ = ["C10dRendezvousBackend", "as_torch_store", "create_backend", "host_tcp_store"]
