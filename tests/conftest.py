"""Says at the end how many points of interruption were tried."""

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What tests recorded as their ``points``: where, what happened there, and at how many lines."""
    tried: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "points" and report.when == "call":
                place, happened, count = value
                tried[place, happened] += count
    if tried:
        terminalreporter.section("points of interruption")
    for place in sorted({place for place, _ in tried}):
        counts = [f"{count} {each}" for (where, each), count in tried.items() if where == place]
        terminalreporter.line(
            f"{place}: {sum(c for (w, _), c in tried.items() if w == place)} ({', '.join(counts)})"
        )
