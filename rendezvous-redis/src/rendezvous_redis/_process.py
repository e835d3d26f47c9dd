"""A server process that ends with its parent, however that ends."""

import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

# What is left of the input comes to its end only when the parent is gone, killed or not.
_GUARD = """
input=$(head -c "$1")
shift
exec 3<&0
printf '%s' "$input" | sh -c 'echo $$; exec "$@"' sh "$@" 3<&- &
server=$!
{ read -r _ <&3; kill "$server"; } >/dev/null 2>&1 &
guard=$!
exec 3<&- </dev/null
wait "$server"
status=$?
kill "$guard" 2>/dev/null
exit "$status"
"""
_KEPT_LINES = 20


class GuardedProcess:
    """Runs ``command`` with ``stdin`` as its input, and reads what it prints.

    It is told to terminate when `stop` is called, when this process ends, and when this process is
    killed; children that this process has forked, and that have not called exec, must have ended too.

    Args:
        command: the program and its arguments.
        ready: a pattern of the line with which the program tells that it is ready.
        stdin: what it reads from its standard input.
        directory: its working directory.
    """

    def __init__(self, command: Sequence[str | Path], ready: str, stdin: str, directory: Path) -> None:
        given = stdin.encode()
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(len(given)), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=directory,
            start_new_session=True,
        )
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(given)
        self._shell.stdin.flush()
        told = self._shell.stdout.readline()
        if not told.strip().isdigit():
            self._shell.stdin.close()
            self._shell.wait()
            raise RuntimeError(f"The program {command[0]} could not be run: {told!r}.")
        self.pid = int(told)
        """The process id of the program."""
        self._ready = threading.Event()
        self._printed: deque[str] = deque(maxlen=_KEPT_LINES)
        self._reader = threading.Thread(target=self._read, args=(re.compile(ready),), daemon=True)
        self._reader.start()

    def wait_until_ready(self, timeout: float) -> bool:
        """Block until the program is ready; ``False`` if it has ended instead, or takes too long."""
        return self._ready.wait(timeout) and self.is_running

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self._shell.poll() is None

    @property
    def printed(self) -> str:
        """The last lines that it printed."""
        return "".join(self._printed)

    def stop(self, timeout: float) -> None:
        """Have the program terminate, and kill it if it has not after ``timeout`` seconds."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        try:
            self._shell.wait(timeout)
        except subprocess.TimeoutExpired:
            os.kill(self.pid, signal.SIGKILL)
            self._shell.wait()
        self._reader.join()

    def wait(self) -> None:
        """Block until the program has ended by itself, or was killed."""
        self._shell.wait()

    def _read(self, ready: re.Pattern[str]) -> None:
        assert self._shell.stdout is not None
        with self._shell.stdout as lines:
            for line in lines:
                text = line.decode(errors="replace")
                self._printed.append(text)
                if ready.search(text):
                    self._ready.set()
        self._shell.wait()
        self._ready.set()
