"""Decides which of several threads goes on, line by line of ours, so that a schedule can be played again."""

import linecache
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from tests.interruption.points import is_ours

PATIENCE = 30.0

Choose = Callable[[Sequence[int], int], int]
"""Choose one of the threads that could go on; the second argument is how many lines were passed."""


class Scheduler:
    """Runs ``calls`` on a thread each, of which one moves at a time, but for those that wait for another.

    Who waits is known by the line: there are two in all of the sources. What a handler does in the
    background goes on freely.
    """

    def __init__(self, calls: Sequence[Callable[[], object]], choose: Choose) -> None:
        self._choose = choose
        self._news = threading.Condition()
        self._states = ["running"] * len(calls)
        self._turns = [threading.Semaphore(0) for _ in calls]
        self._frames: list[FrameType | None] = [None] * len(calls)
        self.outcomes: list[object] = [None] * len(calls)
        self.lines = 0
        for number, call in enumerate(calls):
            threading.Thread(target=self._run, args=(number, call), daemon=True).start()

    def play(self) -> list[object]:
        """Return what the calls returned or raised; fail where nobody moves any more."""
        while True:
            with self._news:
                moved = self._news.wait_for(lambda: "running" not in self._states, PATIENCE)
                assert moved, f"somebody hangs: {self._places()}"
                if all(state == "over" for state in self._states):
                    return self.outcomes
                moved = self._news.wait_for(lambda: "parked" in self._states, PATIENCE)
                over = all(state == "over" for state in self._states)
                assert moved or over, f"nobody goes on: {self._places()}"
                ready = [number for number, state in enumerate(self._states) if state == "parked"]
                number = self._choose(ready, self.lines)
                self.lines += 1
                frame = self._frames[number]
                self._states[number] = "waiting" if frame and _waits(frame) else "running"
            self._turns[number].release()

    def _run(self, number: int, call: Callable[[], object]) -> None:
        def enter_frame(frame: FrameType, event: str, argument: Any) -> Any:
            return pass_line if is_ours(frame) else None

        def pass_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                self._tell(number, "parked", frame)
                self._turns[number].acquire()
            return pass_line

        sys.settrace(enter_frame)
        try:
            self.outcomes[number] = call()
        except BaseException as error:
            self.outcomes[number] = error
        finally:
            sys.settrace(None)
            self._tell(number, "over", None)

    def _tell(self, number: int, state: str, frame: FrameType | None) -> None:
        with self._news:
            self._states[number], self._frames[number] = state, frame
            self._news.notify()

    def _places(self) -> list[str]:
        lines = [f"{each.f_code.co_filename}:{each.f_lineno}" if each else "" for each in self._frames]
        return [f"{state} {line}" for state, line in zip(self._states, lines, strict=True)]


def _waits(frame: FrameType) -> bool:
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return "gate.acquire(timeout=" in line or "answer.get(timeout=" in line
