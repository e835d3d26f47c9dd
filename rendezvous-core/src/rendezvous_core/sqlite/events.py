"""The kernel's word that a file was touched, so that nobody need look at it over and over."""

import ctypes
import os
import select
import sys
import time
from contextlib import suppress

LOOK_INTERVAL = 0.01
"""Seconds between two looks where the kernel does not tell."""

_LOST_AFTER = 0.5  # seconds: a writer may be killed just before it touches the file
_IN_ATTRIB = 0x4  # what `touch` causes, and the removal of the file too


def touch(path: str) -> None:
    """Tell all who listen to ``path``; one who removed it has told them too."""
    with suppress(OSError):
        os.utime(path)


class FileEvents:
    """Waits until a file is touched: by inotify on Linux, by waking at intervals elsewhere.

    At intervals also where the system grants no more inotify instances or watches.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._descriptor = -1
        if sys.platform == "linux":
            self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        if self._descriptor >= 0:
            self._poll.register(self._descriptor, select.POLLIN)
        self._listening = False

    def listen(self, path: str) -> None:
        """Listen to the file that ``path`` names now; `wait` misses no touch after this."""
        if self._descriptor >= 0:
            watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_ATTRIB)
            self._listening = watch >= 0

    def wait(self) -> None:
        """Return when the file was touched, or a little later if it was not."""
        if not self._listening:
            time.sleep(LOOK_INTERVAL)
        elif self._poll.poll(_LOST_AFTER * 1000):
            os.read(self._descriptor, 65536)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
