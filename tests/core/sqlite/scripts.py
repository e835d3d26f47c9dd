"""Programs that run in processes of their own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

_PRELUDE = """
import os, signal, sqlite3, sys, threading, time
from rendezvous_core import *
from rendezvous_core.sqlite import SqliteBackend, SqliteStore

path = sys.argv[1]

def fork(work, *arguments):
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(120)
    try:
        work(*arguments)
        os._exit(0)
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)

def join(pids):
    for pid in pids:
        _, status = os.waitpid(pid, 0)
        assert status == 0, f"{pid} ended with {status}"

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


class Script:
    """A running program; it talks by lines."""

    def __init__(self, body: str, path: str) -> None:
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", _PRELUDE + dedent(body), path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self.process.pid

    def hear(self) -> str:
        """The next line that it says."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, "it ended"
        return line.strip()

    def tell(self, line: str = "") -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def finish(self) -> str:
        """What it says until it ends well."""
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0
        return output.strip()


@contextmanager
def running(body: str, path: str) -> Iterator[Script]:
    script = Script(body, path)
    with script.process:
        try:
            yield script
        finally:
            script.process.kill()


def run(body: str, path: str) -> str:
    """Run ``body`` to its end; ``path`` is there as `path`."""
    with running(body, path) as script:
        return script.finish()
