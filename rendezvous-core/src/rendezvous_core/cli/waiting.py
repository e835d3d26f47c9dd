"""Shows who is there while a node waits for its round."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict

from rendezvous_core.cli.lookout import Lookout
from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.parameters import RendezvousParameters

_FIRST_LOOK = 0.3
"""After how many seconds: a round that forms at once needs no display."""

_PERIOD = 1.0


@contextmanager
def waiting_shown(params: RendezvousParameters, tell: Callable[..., None]) -> Iterator[None]:
    """Tell ``waiting`` about once a second, from another thread, and nothing after the end."""
    over = threading.Event()
    telling = threading.Lock()

    def show(text: str, **details: object) -> None:
        with telling:
            if not over.is_set():
                tell("waiting", text, **details)

    def watch() -> None:
        if over.wait(_FIRST_LOOK):
            return
        try:
            with closing(Lookout(params)) as lookout:
                while not over.is_set():
                    if look := lookout.look():
                        show(f"waiting: {look}", look=asdict(look))
                    over.wait(_PERIOD)
        except RendezvousError as error:
            # The node itself goes on trying; only the view of it is gone.
            show(f"waiting, without seeing who is there: {error}")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with telling:
            over.set()
