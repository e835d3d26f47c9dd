"""The points at which a call can be interrupted: the lines that its thread passes."""

import gc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

_PACKAGES = ("rendezvous_core", "rendezvous_redis", "rendezvous_etcd", "rendezvous_c10d")


def _folders() -> tuple[str, ...]:
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    return tuple(f"{Path(spec.origin).parent}/" for spec in specs if spec and spec.origin)


OURS = _folders()
_TESTS = f"{Path(__file__).parents[1]}/"


def is_ours(frame: FrameType) -> bool:
    """Whether the frame runs code of this project's sources."""
    return frame.f_code.co_filename.startswith(OURS)


class Point:
    """Calls ``act`` before the ``number``-th line that this thread passes inside the context.

    That is what Python does with a signal handler: it runs between two instructions, and what it raises
    appears there. Lines of the tests do not count, those of the standard library do: what is raised inside
    of a `threading.Condition` may come out as something else. ``place`` tells where that was; it stays
    ``None`` where there are fewer lines. Nothing is garbage-collected meanwhile: what is raised in a
    finalizer Python prints, and goes on.
    """

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self._left = number
        self._act = act
        self.place: str | None = None

    def __enter__(self) -> "Point":
        self._former = sys.gettrace()
        gc.disable()
        sys.settrace(self._enter_frame)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.settrace(self._former)
        gc.enable()

    def _enter_frame(self, frame: FrameType, event: str, argument: Any) -> Any:
        return None if frame.f_code.co_filename.startswith(_TESTS) else self._pass_line

    def _pass_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event != "line":
            return self._pass_line
        self._left -= 1
        if self._left:
            return self._pass_line
        sys.settrace(None)
        self.place = f"{frame.f_code.co_filename.rpartition('/src/')[2]}:{frame.f_lineno}"
        self._act()
        return None
