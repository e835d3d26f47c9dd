"""``python -m rendezvous_core.cli`` is ``rdzv``."""

from rendezvous_core.cli.entry import main

main()
