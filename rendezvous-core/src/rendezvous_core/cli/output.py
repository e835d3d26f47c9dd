"""What running nodes tell: JSON lines, plain lines, or on a terminal with colors and a live status."""

import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.status import Status

_DETAILS = {"ready", "asking", "started", "ended", "coordinates", "closed"}
"""Events that only programs are told."""

_COLORS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")


class Output(ABC):
    """Where events are told. May be used from several threads."""

    takes_output = False
    """Whether a command's output is to be told, too, rather than to go where ours goes."""

    @abstractmethod
    def tell(self, event: str, text: str, *, local_rank: int | None = None, **details: object) -> None:
        """Tell that ``event`` happened: ``text`` for people, ``details`` for programs.

        ``output`` is a line that a command wrote to the stream of that name; ``waiting`` may be
        told again and again, until ``joined`` or ``exit``.
        """


class JsonOutput(Output):
    """One JSON object a line, on stdout. Who reads it may go away."""

    takes_output = True

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def tell(self, event: str, text: str, *, local_rank: int | None = None, **details: object) -> None:
        """See base class."""
        named = {"at": time.time()} if local_rank is None else {"at": time.time(), "local_rank": local_rank}
        with self._lock:
            try:
                print(json.dumps({"event": event, **named, "text": text, **details}), flush=True)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class PlainOutput(Output):
    """Lines: those of commands on the stream they were written to, our own on stderr."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = ""

    def tell(self, event: str, text: str, *, local_rank: int | None = None, **details: object) -> None:
        """See base class."""
        with self._lock:
            if event == "output":
                self._write(str(details.get("stream")), f"[{local_rank}]", text, local_rank)
            elif event == "waiting":
                self._wait(text, local_rank)
            elif event not in _DETAILS:
                if event in ("joined", "exit"):
                    self._settle()
                # That all is well with each single node of --spawn is summed up elsewhere.
                if local_rank is None or not (event == "joined" or details.get("code") == 0):
                    self._say(text, local_rank)

    def _say(self, text: str, local_rank: int | None) -> None:
        who = "rdzv" if local_rank is None else f"rdzv[{local_rank}]"
        self._write("stderr", f"{who}: {time.strftime('%H:%M:%S')}", text, local_rank)

    def _wait(self, text: str, local_rank: int | None) -> None:
        if text != self._waiting:
            self._waiting = text
            self._say(text, None)

    def _settle(self) -> None:
        self._waiting = ""

    def _write(self, stream: str, prefix: str, text: str, local_rank: int | None) -> None:
        try:
            print(prefix, text, file=sys.stderr if stream == "stderr" else sys.stdout, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class TerminalOutput(PlainOutput):
    """The same on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None

    def _wait(self, text: str, local_rank: int | None) -> None:
        from rich.markup import escape

        if self._status is None:
            self._status = self._console.status(escape(text))
            self._status.start()
        self._status.update(escape(text))

    def _settle(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _write(self, stream: str, prefix: str, text: str, local_rank: int | None) -> None:
        if stream == "stdout" and not sys.stdout.isatty():
            super()._write(stream, prefix, text, local_rank)
            return
        from rich.text import Text

        color = "bold" if local_rank is None else _COLORS[local_rank % len(_COLORS)]
        self._console.print(Text.assemble((prefix, color), " ", Text.from_ansi(text)), soft_wrap=True)


def create_output(*, as_json: bool) -> Output:
    """Return the output that fits where this process writes to."""
    if as_json:
        return JsonOutput()
    return TerminalOutput() if sys.stderr.isatty() else PlainOutput()
