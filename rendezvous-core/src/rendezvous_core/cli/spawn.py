"""``rdzv run --spawn``: several nodes on this machine, each a ``rdzv run`` of its own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

from rendezvous_core.cli.child import describe_exit
from rendezvous_core.cli.exit_codes import ExitCode, status_of
from rendezvous_core.cli.output import Output
from rendezvous_core.cli.signals import STOPS, signals_to
from rendezvous_core.ports.waiting import Inbox
from rendezvous_core.records.member import counted

_RUN = [sys.executable, "-m", "rendezvous_core.cli", "run"]


class _Told(NamedTuple):
    local_rank: int
    event: dict[str, Any]


class _Ended(NamedTuple):
    local_rank: int
    exit_code: int


class Nodes:
    """The nodes that were spawned here.

    They are held at the start until all of them are ready, so that a slow one does not miss the first
    round. Each leads a process group, so that Ctrl-C at the terminal reaches them once, through us;
    when this process dies, their standard input ends and they leave.

    Args:
        arguments: options and command that each node's ``rdzv run`` gets.
        environment: variables of the nodes; here belongs what may hold a password.
    """

    def __init__(
        self, number: int, arguments: Sequence[str], environment: dict[str, str], output: Output
    ) -> None:
        self._output = output
        self._events: Inbox[signal.Signals | _Told | _Ended] = Inbox()
        self._held = set(range(number))
        self._waiting: set[int] = set()
        self._exit_codes: dict[int, int] = {}
        self._rounds: set[str] = set()
        self._nodes = [
            subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "rendezvous_core.cli",
                    "run",
                    "--spawned-as",
                    str(rank),
                    str(number),
                    *arguments,
                ],
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                text=True,
                errors="replace",
            )
            for rank in range(number)
        ]

    def run(self) -> ExitCode | int:
        """Wait for the end of all nodes; return the exit code of the first that failed, if any did."""
        stopping = None
        with signals_to(self._events.put):
            for rank, node in enumerate(self._nodes):
                threading.Thread(target=self._read, args=(rank, node), daemon=True).start()
            while len(self._exit_codes) < len(self._nodes):
                event = self._events.get()
                if isinstance(event, signal.Signals):
                    stopping = stopping or STOPS.get(event)
                    for node in self._nodes:
                        node.send_signal(event)
                elif isinstance(event, _Told):
                    self._pass_on(event.local_rank, event.event)
                else:
                    self._exit_codes[event.local_rank] = event.exit_code
                    self._waiting.discard(event.local_rank)
                    self._let_go(event.local_rank)
        codes = [self._exit_codes[rank] for rank in range(len(self._nodes))]
        failed = [code for code in codes if code != 0]
        code = stopping or (failed[0] if failed else ExitCode.OK)
        code = status_of(code)
        text = f"{len(codes) - len(failed)} of {counted(len(codes))} finished their work"
        self._output.tell("finished", text, code=code, node_exit_codes=codes)
        return code

    def _read(self, rank: int, node: "subprocess.Popen[str]") -> None:
        assert node.stdout is not None
        assert node.stderr is not None
        errors = threading.Thread(target=self._read_errors, args=(rank, node.stderr), daemon=True)
        errors.start()
        for line in node.stdout:
            self._events.put(_Told(rank, json.loads(line)))
        errors.join()
        code = node.wait()
        if code < 0:
            text = f"the node {describe_exit(code)}"
            self._events.put(_Told(rank, {"event": "exit", "text": text, "code": code, "local_rank": rank}))
        self._events.put(_Ended(rank, code))

    def _read_errors(self, rank: int, stream: IO[str]) -> None:
        for line in stream:
            event = {"event": "output", "text": line.rstrip("\n"), "stream": "stderr", "local_rank": rank}
            self._events.put(_Told(rank, event))

    def _pass_on(self, rank: int, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "ready":
            self._let_go(rank)
        elif kind == "asking":
            self._waiting.add(rank)
        elif kind in ("joined", "exit"):
            self._waiting.discard(rank)
        elif kind == "waiting" and rank != min(self._waiting, default=rank):
            return  # one of them is enough to see who is there
        self._output.tell(event.pop("event"), event.pop("text"), **event)
        if kind == "joined" and event["round_id"] not in self._rounds:
            self._rounds.add(event["round_id"])
            self._output.tell(
                "formed",
                f"round {event['round']} has {counted(event['world_size'])}",
                round=event["round"],
                round_id=event["round_id"],
                world_size=event["world_size"],
            )

    def _let_go(self, rank: int) -> None:
        """Note that a node is ready, or gone; once that is so for all, let them ask."""
        if rank not in self._held:
            return
        self._held.discard(rank)
        if not self._held:
            for node in self._nodes:
                assert node.stdin is not None
                try:
                    node.stdin.write("go\n")
                    node.stdin.flush()
                except BrokenPipeError:
                    continue
