"""Children of fork that find out what they may do, and tell their parent what went wrong."""

import os
import signal
import traceback
from collections.abc import Callable
from typing import NoReturn

PATIENCE = 30


class Fork:
    """A fork in the middle of a call; `is_child` tells on which side one is."""

    def __init__(self) -> None:
        self.is_child = False
        self.has_happened = False
        self._complaint = -1

    def fork(self, check: Callable[[], None]) -> None:
        """Have a child ``check``, go on with the call that was interrupted, and end in `end`; wait for it."""
        complaint, self._complaint = os.pipe()
        self.has_happened = True
        child = os.fork()
        if child == 0:
            self.is_child = True
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PATIENCE)
            self._guard(check)
            return
        os.close(self._complaint)
        with os.fdopen(complaint) as complaints:
            said = complaints.read()
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code == 0, f"the child ended with {code}: {said}"

    def end(self, check: Callable[[], None]) -> NoReturn:
        """In the child: ``check``, and end."""
        self._guard(check)
        os._exit(0)

    def _guard(self, check: Callable[[], None]) -> None:
        try:
            check()
        except BaseException:
            os.write(self._complaint, traceback.format_exc().encode()[-4000:])
            os._exit(1)
