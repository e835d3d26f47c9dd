"""The signals that a node takes in order and passes on to its command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rendezvous_core.cli.exit_codes import ExitCode

STOPS = {
    signal.SIGHUP: ExitCode.HUNG_UP,
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
"""Those that ask to end, and the exit code for each."""

_ALL = (*STOPS, signal.SIGUSR1, signal.SIGUSR2)


@contextmanager
def signals_to(put: Callable[[signal.Signals], object], *, ignored: bool = False) -> Iterator[None]:
    """Hand signals to ``put``, which must be reentrant, in place of what they did before.

    Those that were ignored, as by nohup or in the background of a script, stay so unless ``ignored``.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        put(signal.Signals(number))

    former = {number: signal.getsignal(number) for number in _ALL}
    caught = [number for number in _ALL if ignored or former[number] is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, former[number])
