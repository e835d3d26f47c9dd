"""Processes that tell events as JSON lines, and tests that wait for these with a deadline."""

import json
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

PATIENCE = 90.0
_OF_A_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

Event = dict[str, Any]


class EventProcess:
    """A child process whose standard output is read all the time, line by line."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            arguments,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            text=True,
        )
        self.events: list[Event] = []
        self._unread: queue.Queue[Event | None] = queue.Queue()
        self._errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        """What it has written there so far."""
        return "".join(self._errors)

    def wait_for(self, event: str, **fields: object) -> Event:
        """Return the next event of this name with these fields; those in between are passed over.

        ``stderr`` is a line that was written there, ``line`` one on stdout that is no JSON.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._next(deadline, f"{event} {fields}")
            if found["event"] == event and found.items() >= fields.items():
                return found

    def wait_until(self, enough: Callable[[list[Event]], object]) -> None:
        """Wait until its ``events`` are enough, in whatever order they come."""
        deadline = time.monotonic() + PATIENCE
        while not enough(self.events):
            self._next(deadline, "what is enough")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code; whatever it told is in ``events`` then."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def end(self) -> None:
        """Kill it, if it still runs, and whatever it started in its group."""
        if self._process.poll() is None:
            self._process.kill()
        self.wait()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def _next(self, deadline: float, wanted: str) -> Event:
        try:
            found = self._unread.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            found = None
        assert found is not None, f"{wanted} did not come; it told {self.events}, {self.stderr}"
        return found

    def _read_events(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line) if line.startswith("{") else {"event": "line", "text": line.rstrip()}
            self.events.append(event)
            self._unread.put(event)
        self._unread.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors.append(line)
            self._unread.put({"event": "stderr", "text": line.rstrip()})


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([watched], [], [], PATIENCE)
        assert ready, f"the process {pid} is still alive"
    finally:
        os.close(watched)


@contextmanager
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let children obey signals, also where these tests run in the background of a script, or under nohup."""
    ignored = [number for number in _OF_A_TERMINAL if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        # A program starts with handlers reset, and with what is ignored still ignored.
        signal.signal(number, lambda received, frame: None)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
