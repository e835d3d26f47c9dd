"""How a command of ``rdzv run`` is told that participants are to go: by a file."""

import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rendezvous_core.ports.errors import RendezvousError
from rendezvous_core.ports.notice import Notice

NOTICE = "RDZV_NOTICE"
"""Names the file, which is there while a notice stands."""


class Board:
    """Where one node posts for its command who is to go, and until when that command may run.

    Args:
        grace: seconds that the command has to end after a signal.
    """

    def __init__(self, grace: float) -> None:
        self._folder: Path | None = None
        self._grace = grace
        self.notice: Notice | None = None
        """What stands in the present round."""
        self.signal_at = math.inf
        """When the command of a node that is to go is told to end, by the monotonic clock."""

    def open(self) -> dict[str, str]:
        """Make a folder for a command that begins; return the variable that tells it where to look."""
        self.notice, self.signal_at = None, math.inf
        self._folder = Path(tempfile.mkdtemp(prefix="rdzv-"))
        return {NOTICE: str(self._file)}

    def close(self) -> None:
        """Remove the folder; may be called without one."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """What there is while a command runs."""
        assert self._folder is not None, "a command runs"
        return self._folder

    @property
    def _file(self) -> Path:
        return self.folder / "notice"

    @property
    def is_mine(self) -> bool:
        """Whether this node is to go."""
        return self.notice is not None and self.notice.mine

    def post(self, notice: Notice | None) -> None:
        """Have the file say ``notice``, at once and whole; remove it where there is none."""
        self.notice, self.signal_at = notice, math.inf
        if notice is None:
            self._file.unlink(missing_ok=True)
            return
        if notice.mine:
            self.signal_at = time.monotonic() + max(0.0, notice.seconds - self._grace)
        told = {"ranks": notice.ranks, "deadline": time.time() + notice.seconds, "mine": notice.mine}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(told))
        fresh.replace(self._file)


def notice_from_env(environ: Mapping[str, str] = os.environ) -> Notice | None:
    """Return which participants of the round are to go, in a command of ``rdzv run``; ``None`` if nobody is.

    It looks for a file, so it may be called before each step.

    Raises:
        RendezvousError: this process was not started by ``rdzv run``.
    """
    path = environ.get(NOTICE)
    if not path:
        raise RendezvousError(f"{NOTICE} is not set: start this program with 'rdzv run'.")
    try:
        told = json.loads(Path(path).read_text())
    except FileNotFoundError:
        return None
    return Notice(tuple(told["ranks"]), max(0.0, told["deadline"] - time.time()), told["mine"])
