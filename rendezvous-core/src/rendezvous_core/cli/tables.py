"""Tables for people."""

import sys
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rendezvous_core.cli.look import NodeLook, RunLook

_COLORS = {"active": "green", "waiting": "cyan", "done": "blue", "silent": "yellow"}
_WIDE = 200


def print_table(table: RenderableType) -> None:
    """Print to stdout; in a pipe without colors, and wide enough that nothing is cut."""
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def plain_table(columns: Iterable[str]) -> Table:
    """Return an empty table in the style of all of them."""
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def run_table(look: RunLook) -> RenderableType:
    """Return what is known of a run."""
    head = Text.assemble((look.run_id, "bold"), f"  {look.min_nodes} to {look.max_nodes} nodes")
    # The table names the nodes.
    summary = Text(str(look).partition(";")[0] + ".")
    if not look.nodes:
        return Group(head, summary)
    table = plain_table(("rank", "standing", "heartbeat", "address", "pid", "node", ""))
    for node in look.nodes:
        table.add_row(*_row(node))
    return Group(head, summary, "", table)


def _row(node: NodeLook) -> Iterable[RenderableType]:
    age = "" if node.heartbeat_age is None else f"{node.heartbeat_age:.1f} s ago"
    notes = [f"{name}={value}" for name, value in (node.metadata or {}).items()]
    if node.coordinates:
        notes.insert(0, "coordinator")
    return (
        "" if node.rank is None else str(node.rank),
        Text(node.standing, style=_COLORS.get(node.standing, "red")),
        age,
        node.place,
        "" if node.pid is None else str(node.pid),
        node.node[:8],
        Text(", ".join(notes), style="dim"),
    )
