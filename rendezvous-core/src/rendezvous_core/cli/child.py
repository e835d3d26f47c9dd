"""The command of one round: a process group that ends with its node, however that ends."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_GUARD = 'trap "" HUP INT TERM USR1 USR2; echo; read _; rm -rf -- "$1"; kill -s KILL 0'
"""Leads the group. Its input ends when this process dies, and then it removes the scratch folder and kills
the group and itself. As long as it lives, the id of the group cannot become that of strangers."""

_LAST_WORDS = 2.0
"""How many seconds after the end of the group its output may still come in."""

Printer = Callable[[str, str], None]
"""Takes the name of a stream and a line of it."""


class Child:
    """A running command, with all that it starts unless that leaves the process group.

    Args:
        command: program and arguments.
        environment: variables on top of those of this process.
        ended: called on another thread when the command has ended.
        stdin: its input, as `subprocess.Popen` takes it. A background group that reads from a
            terminal is stopped.
        printer: takes the lines of its output; where it is ``None`` they go where ours go.
        scratch: a folder that is removed if this process is killed.
        signals_group: whether signals are for all that it started, too.

    Raises:
        OSError: the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        ended: Callable[["Child"], None],
        stdin: int | None,
        printer: Printer | None,
        scratch: Path,
        *,
        signals_group: bool = False,
    ) -> None:
        self._signals_group = signals_group
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        assert self._guard.stdout is not None
        self._guard.stdout.readline()  # from now on it ignores what is sent to the group
        inherited = dict(os.environ)
        if printer is not None:
            inherited.setdefault("PYTHONUNBUFFERED", "1")
        try:
            self._process = subprocess.Popen(
                command,
                env=inherited | dict(environment),
                stdin=stdin,
                stdout=subprocess.PIPE if printer else None,
                stderr=subprocess.PIPE if printer else None,
                process_group=self._guard.pid,
                text=True,
                errors="replace",
            )
        except BaseException:
            self.kill()
            raise
        self._readers = [
            _thread(_read, stream, name, printer)
            for name, stream in (("stdout", self._process.stdout), ("stderr", self._process.stderr))
            if stream and printer
        ]
        _thread(self._wait, ended)

    @property
    def pid(self) -> int:
        """The process id of the command."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What the command exited with, negative where a signal killed it; ``None`` while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command; helpers such as the workers of a data loader are its business."""
        if not self._signals_group:
            self._process.send_signal(number)
        elif self._guard.returncode is None:
            os.killpg(self._guard.pid, number)

    def kill(self) -> None:
        """Kill what is left of the group."""
        if self._guard.returncode is not None:
            return
        os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.communicate()

    def close(self) -> None:
        """Kill what is left of the group, and pass on the rest of its output."""
        self.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(_LAST_WORDS)

    def _wait(self, ended: Callable[["Child"], None]) -> None:
        self._process.wait()
        ended(self)


def describe_exit(code: int) -> str:
    """Say how a process ended, after "the command"."""
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _read(stream: IO[str], name: str, printer: Printer) -> None:
    for line in stream:
        printer(name, line.rstrip("\n"))


def _thread(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread
