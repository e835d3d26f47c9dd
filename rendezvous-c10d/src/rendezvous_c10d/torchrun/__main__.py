"""torchrun for torch 2.5, which does not look for backends itself: ``python -m rendezvous_c10d.torchrun``.

With later versions it is torchrun and nothing else.
"""

import logging
from importlib.metadata import entry_points

import torch
from torch.distributed.elastic.rendezvous import rendezvous_handler_registry
from torch.distributed.run import main

if __name__ == "__main__":
    for found in entry_points(group="torchrun.handlers") if torch.__version__ < (2, 6) else ():
        try:
            rendezvous_handler_registry.register(found.name, found.load()())
        except Exception:  # as torch does it: what is broken must not keep the others from running
            logging.getLogger("rendezvous_c10d").warning("No backend '%s':", found.name, exc_info=True)
    main()
