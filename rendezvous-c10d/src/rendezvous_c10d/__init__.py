"""Elastic rendezvous for PyTorch: over torch's own stores, and under a stock torchrun."""

from rendezvous_c10d._torch_store import as_torch_store

__all__ = ["as_torch_store"]
