"""The tables of LARGE.md: what was measured of large groups, and what is aimed at."""

from pathlib import Path

from benchmarks.tables import markdown
from benchmarks.terms import Size

DEFAULT = ("redis", "etcd-v3", "sqlite", "c10d")

Row = dict[str, float]
"""What is known of a contender at one size, by the name of the column."""

COLUMNS: dict[str, dict[str, str]] = {
    "costs": {
        "requests to form": ",.1f",
        "bytes to form": ",.0f",
        "requests": ",.1f",
        "bytes": ",.0f",
        "connections": ",.0f",
        "server, MiB": ",.0f",
        "node, KiB": ",.0f",
        "threads": ".1f",
    },
    "times": {
        "connecting": ".1f",
        "forming": ".2f",
        "nodes, CPU": ".1f",
        "server, CPU": ".2f",
        "coordinator, CPU": ".3f",
        "told": ".2f",
        "again": ".2f",
        "nodes, again": ".1f",
        "server, again": ".2f",
        "coordinator, again": ".3f",
    },
}
"""The tables, by the name of their markers: how each column is written."""

AIMS: dict[int, Row] = {
    nodes: {
        "bytes to form": bytes_,
        "bytes": bytes_,
        "requests to form": 8,
        "coordinator, CPU": processor,
        "coordinator, again": processor,
        "forming": forming,
        "told": 1,
        "again": again,
    }
    for nodes, bytes_, processor, forming, again in ((1000, 1.5, 0.3, 1.5, 1), (10_000, 2, 3, 30, 15))
}
"""What is aimed at: bytes are multiples of those at 64 nodes; `told` counts looks after the window."""


def interval(nodes: int, seconds: float) -> float:
    """How often nodes are to beat: more rarely where this machine could not do it for all of them."""
    return max(seconds, nodes / 300)


def cells(row: Row, columns: dict[str, str]) -> list[str]:
    """Return what is known of one contender, column by column."""
    return [format(row[name], form) if name in row else "" for name, form in columns.items()]


def known(page: Path, name: str) -> dict[tuple[str, str], list[str]]:
    """The lines of the table ``name`` of ``page``, by the size and the contender."""
    text = page.read_text().partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]
    head, _, *lines = [
        [each.strip() for each in line.split("|")[1:-1]] for line in text.split("\n")[1:-1]
    ] or [[], []]
    return {(line[0], line[1]): line for line in lines if head[2:] == list(COLUMNS[name])}


def merged(page: Path, name: str, results: dict[tuple[Size, str], Row]) -> str:
    """Return the table ``name`` of ``page``, with ``results`` in the place of what was known of them."""
    lines = known(page, name)
    for (each, contender), row in results.items():
        lines[str(each), contender] = [str(each), contender, *cells(row, COLUMNS[name])]
    return markdown(list(COLUMNS[name]), [lines[key] for key in sorted(lines, key=_order)])


def held_against(page: Path, seconds: float) -> str:
    """Hold the lines of ``page`` against `AIMS`, which are of several sizes; what misses one is in bold."""
    tables = {name: known(page, name) for name in COLUMNS}
    rows: dict[tuple[str, str], Row] = {
        key: {
            column: float(cell.replace(",", ""))
            for name, columns in COLUMNS.items()
            for column, cell in zip(columns, tables[name][key][2:], strict=True)
            if cell
        }
        for key in sorted(tables["costs"].keys() & tables["times"].keys(), key=_order)
    }
    small = {contender: row for (size, contender), row in rows.items() if Size.read(size).nodes == 64}
    lines = [[f"{nodes:,}", "aim", *map(_number, aims.values())] for nodes, aims in AIMS.items()]
    for (size, contender), row in rows.items():
        nodes = Size.read(size).nodes
        if nodes not in AIMS or contender not in small:
            continue
        beat = interval(nodes, seconds)
        figures = {
            **{name: row[name] / small[contender][name] for name in ("bytes to form", "bytes")},
            "told": (row["told"] - 3 * beat) / (2 * beat / 5),
        }
        shown = {name: figures.get(name, row[name]) for name in AIMS[nodes]}
        misses = {name for name, aim in AIMS[nodes].items() if shown[name] > aim}
        lines.append(
            [
                size,
                contender,
                *(
                    f"**{_number(each)}**" if name in misses else _number(each)
                    for name, each in shown.items()
                ),
            ]
        )
    return markdown(list(next(iter(AIMS.values()))), lines)


def _order(key: tuple[str, str]) -> tuple[int, int]:
    return Size.read(key[0]).nodes, DEFAULT.index(key[1])


def _number(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"
