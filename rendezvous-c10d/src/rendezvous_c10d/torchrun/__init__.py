"""The adapter between torchrun's agent and the handlers of every backend."""

from rendezvous_c10d.torchrun.creation import create_handler
from rendezvous_c10d.torchrun.handler import TorchrunHandler

__all__ = ["TorchrunHandler", "create_handler"]
