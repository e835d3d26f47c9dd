"""The command line ``rdzv``; needs the extra ``[cli]``."""

from rendezvous_core.cli.entry import main

__all__ = ["main"]
