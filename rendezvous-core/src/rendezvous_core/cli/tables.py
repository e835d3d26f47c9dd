"""Tables for people."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rendezvous_core.cli.look import MOST_NAMES, NodeLook, RunLook, UnreadableRun, node_range, time_of_day
from rendezvous_core.cli.spans import span
from rendezvous_core.cli.telling import Line

_COLORS = {"active": "green", "waiting": "cyan", "done": "blue", "silent": "yellow"}
_PHASES = {
    "joining": ("forming", "cyan"),
    "complete": ("running", "green"),
    "closed": ("closed", "dim"),
    "sealed": ("sealed", "yellow"),
    "unreadable": ("unreadable", "red"),
}
_EVENTS = {"formed": "green", "lost": "red", "left": "yellow", "reconnected": "yellow", "closed": "dim"}
_MANY = 64
"""Of more nodes than these not all have a row."""
_TAIL = 5
"""So many of the last events `run_table` shows."""
_WIDE = 200


def print_table(table: RenderableType) -> None:
    """Print to stdout; in a pipe without colors, and wide enough that nothing is cut."""
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)


def plain_table(columns: Iterable[str]) -> Table:
    """Return an empty table in the style of all of them."""
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def run_table(look: RunLook, history: Sequence[Line] = (), *, every: bool = False) -> RenderableType:
    """Return what is known of a run, and the last of its events.

    Of many nodes, only those which are missed have a row, where they are few, or ``every`` one if so wanted.
    """
    tail: list[RenderableType] = ["", history_table(history[-_TAIL:])] if history else []
    size = f"  {node_range(look)} node{'s' if look.max_nodes > 1 else ''}" if look.max_nodes else ""
    head = Text.assemble((look.run_id, "bold"), size)
    # The table names the nodes.
    summary = Text(str(look).partition(";")[0] + ".")
    if not look.nodes:
        return Group(head, summary, *tail)
    nodes, counts = list(look.nodes), Counter(node.standing for node in look.nodes)
    if len(nodes) > _MANY and not every:
        nodes = [node for node in nodes if node.coordinates or counts[node.standing] <= MOST_NAMES]
        told = ", ".join(f"{count} {standing}" for standing, count in counts.most_common())
        summary.append(f" {len(look.nodes)} nodes: {told}.\n--all shows each; here are the few.")
    table = plain_table(("rank", "standing", "heartbeat", "address", "pid", "node", ""))
    for node in nodes:
        table.add_row(*_row(node))
    return Group(head, summary, "", table, *tail)


def history_table(lines: Iterable[Line]) -> Table:
    """Return a line for each event."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for line in lines:
        table.add_row(Text(line.when, style="dim"), Text(line.text, style=_EVENTS.get(line.kind, "")))
    return table


def runs_table(looks: Iterable[RunLook | UnreadableRun]) -> RenderableType:
    """Return a line for each run."""
    table = plain_table(("run", "phase", "round", "nodes", "age", "last sign"))
    for look in looks:
        name, color = _PHASES[look.phase]
        if isinstance(look, UnreadableRun):
            table.add_row(look.run_id, Text(name, style=color))
            continue
        if look.phase != "closed" and look.is_silent:
            name, color = f"{name}, silent", "yellow"
        here = len(look.those("waiting" if look.phase == "joining" else "active"))
        table.add_row(
            look.run_id,
            Text(name, style=color),
            str(look.round),
            f"{here} of {known}" if (known := node_range(look)) else str(here),
            "" if look.age is None else span(look.age),
            "" if look.heard is None else f"{span(look.heard)} ago",
        )
    return table


def _row(node: NodeLook) -> Iterable[RenderableType]:
    age = "" if node.heartbeat_age is None else f"{node.heartbeat_age:.1f} s ago"
    if node.gone_at is not None:
        age = f"at {time_of_day(node.gone_at)}"
    notes = [f"{name}={value}" for name, value in (node.metadata or {}).items()]
    if node.coordinates:
        notes.insert(0, "coordinator")
    if node.draining:
        notes.insert(0, "to go")
    if node.rank is None and node.last_round is not None:
        notes.insert(0, f"rank {node.last_rank} in round {node.last_round}")
    return (
        "" if node.rank is None else str(node.rank),
        Text(node.standing, style=_COLORS.get(node.standing, "red")),
        age,
        node.place,
        "" if node.pid is None else str(node.pid),
        node.node[:8],
        Text(", ".join(notes), style="dim"),
    )
