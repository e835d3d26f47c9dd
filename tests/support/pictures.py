"""The pictures in ``docs/cli.md``: ``python -m tests.support.pictures`` takes them anew, in a terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
from pathlib import Path

from rendezvous_core import RendezvousParameters, get_rendezvous_handler
from tests.core.processes import EventProcess, signals_as_in_a_terminal

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = {
    "runs": ["runs"],
    "watch": ["watch", "--run-id", "train-7"],
    "history": ["history", "--run-id", "train-7"],
}
_RDZV = [sys.executable, "-m", "rendezvous_core.cli"]
_COLUMNS, _ROWS = 124, 40
_STILL = 0.2
"""Seconds in which nothing is written after a screen is drawn."""
_PICTURE = re.compile(r"(<!-- picture: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
_SEQUENCE = re.compile(r"\x1b\[\??([0-9;]*)([A-Za-z])")


def main() -> None:
    """Play a small group that loses a node, look at it, and put what the terminal shows into the page."""
    with tempfile.TemporaryDirectory() as folder, signals_as_in_a_terminal():
        endpoint = str(Path(folder) / "rendezvous.db")
        environment = {
            "RDZV_ENDPOINT": endpoint,
            "RDZV_BACKEND": "sqlite",
            "RDZV_CONF": "",
            "RDZV_RUN_ID": "",
        }
        handler = get_rendezvous_handler(RendezvousParameters("sqlite", endpoint, "train-6", 1, 1))
        handler.next_rendezvous()
        handler.leave(done=True)
        handler.shutdown()
        nodes = [_start(environment, "train-7", "2:3") for _ in range(3)]
        waiting = _start(environment, "eval-2", "2")
        try:
            for node in nodes:
                node.wait_for("joined", world_size=3)
            nodes[0].send(signal.SIGKILL)
            for node in nodes[1:]:
                node.wait_for("joined", world_size=2)
            waiting.wait_for("waiting")
            shown = {name: photograph(command, environment) for name, command in COMMANDS.items()}
        finally:
            for node in (*nodes, waiting):
                node.end()

    def framed(found: re.Match[str]) -> str:
        name = found[2]
        return f"{found[1]}```console\n$ rdzv {' '.join(COMMANDS[name])}\n{shown[name]}\n```\n{found[3]}"

    PAGE.write_text(_PICTURE.sub(framed, PAGE.read_text()))


def _start(environment: dict[str, str], run_id: str, nodes: str) -> EventProcess:
    options = ["--run-id", run_id, "--nodes", nodes, "--local-addr=127.0.0.1"]
    conf = "--conf=keep_alive_interval=1,last_call_timeout=60"
    return EventProcess([*_RDZV, "run", "--json", *options, conf, "--", "sleep", "3600"], environment)


def photograph(command: list[str], environment: dict[str, str]) -> str:
    """Return what a terminal shows of a command at its end; of one that goes on, once it shows a table."""
    pid, terminal = pty.fork()
    if pid == 0:
        size = struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0)
        fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        os.execve(_RDZV[0], [*_RDZV, *command], {**os.environ, **environment})
    told = b""
    while data := _read(terminal):
        told += data
        if command[0] == "watch" and b"round 1 has" in told:
            os.kill(pid, signal.SIGINT)
            break
    shown = screen(told.decode(errors="replace"))
    while _read(terminal):
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return shown


def _read(terminal: int) -> bytes:
    """Return what is told until nothing is for a moment; nothing once all have ended who could tell."""
    told = b""
    while not told or select.select([terminal], [], [], _STILL)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        told += data
    return told


def screen(text: str) -> str:
    """Return the lines of a terminal on which ``text`` was written: as far as rich moves the cursor."""
    lines, row, column, at = [""], 0, 0, 0
    while at < len(text):
        sequence = _SEQUENCE.match(text, at)
        if sequence:
            at = sequence.end()
            if sequence[2] == "A":
                row = max(0, row - int(sequence[1] or 1))
            elif sequence[2] == "K":
                lines[row] = ""
            continue
        character, at = text[at], at + 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        else:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + character + line[column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).strip("\n")


if __name__ == "__main__":
    main()
