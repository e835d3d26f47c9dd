"""Puts together how a run looks, from what its backend holds."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rendezvous_core.cli.look import NodeLook, RunLook, Standing
from rendezvous_core.dynamic.history import Happening
from rendezvous_core.ports.runs import RunOutline
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import State

_MOST_LOST = 8
"""So many nodes are shown that were lost from rounds that are over: the latest."""


def describe_run(
    run_id: str, state: State, members: Mapping[str, Member], ages: Mapping[str, float]
) -> RunLook:
    """Put together what is known of a run; ``ages`` are those of the latest heartbeats."""

    def look(node: str, rank: int | None, standing: Standing) -> NodeLook:
        coordinates = node == state.coordinator and state.phase != "closed"
        member = members.get(node)
        if member is None:
            return NodeLook(node, rank, standing, coordinates, None)
        return NodeLook(
            node,
            rank,
            standing,
            coordinates,
            member.address,
            member.pid,
            ages[node],
            member.metadata,
            member.host,
            draining=node in state.draining,
        )

    def is_heard(node: str) -> bool:
        return node in members and ages[node] <= members[node].dead_after

    def asks(node: str) -> bool:
        member = members[node]
        return member.intent == "join" and not member.holds and not state.has_spent(node, member.ticket)

    nodes = []
    if state.phase == "joining":
        former = [seat.node for seat in state.roster if seat.node in members]
        nodes += [look(node, None, "away") for node in former if not asks(node)]
    elif not state.is_whole:
        inside = sorted(node for node in members if members[node].holds == state.round_id)
        nodes += [look(node, None, "active" if is_heard(node) else "silent") for node in inside]
    else:
        for rank, seat in enumerate(state.roster):
            if seat.node in state.gone:
                standing: Standing = state.gone[seat.node]
            elif state.phase == "closed" and seat.node not in members:
                standing = "done"
            else:
                standing = "active" if is_heard(seat.node) else "silent"
            nodes.append(look(seat.node, rank, standing))
    active = {node.node for node in nodes if node.standing in ("active", "silent")}
    others = sorted(members.keys() - active, key=lambda node: (members[node].asked, node))
    waiting = [look(node, None, "waiting" if is_heard(node) else "silent") for node in others if asks(node)]
    present = sum(node.standing == "waiting" for node in waiting)
    settings = state.settings
    now = time.time()
    return RunLook(
        run_id=run_id,
        phase=state.phase,
        round=state.round,
        round_id=state.round_id,
        min_nodes=settings.min_nodes,
        max_nodes=settings.max_nodes,
        missing=max(0, settings.least - present) if state.phase == "joining" else 0,
        last_call=state.phase == "joining" and state.last_call is not None,
        nodes=(*nodes, *waiting),
        age=max(0.0, now - state.began) if state.began else None,
        heard=min((*ages.values(), *([max(0.0, now - state.at)] if state.at else [])), default=None),
    )


def describe_outline(run_id: str, outline: RunOutline) -> RunLook:
    """Put together what is known of a run that has another protocol: nobody has a name."""
    is_joining = outline.phase == "joining"
    gone: Standing = "done" if outline.phase == "closed" else "lost"
    nodes = [
        NodeLook(
            node="",
            rank=None if is_joining else rank,
            standing="waiting" if is_joining else gone if silence is None else "active",
            coordinates=False,
            address=None,
            heartbeat_age=silence,
        )
        for rank, silence in enumerate(outline.silences)
    ]
    return RunLook(
        run_id=run_id,
        phase=outline.phase,
        round=outline.round,
        round_id="",
        min_nodes=None,
        max_nodes=None,
        missing=0,
        last_call=False,
        nodes=(*nodes, *[NodeLook("", None, "waiting", False, None)] * outline.waiting),
        heard=min((each for each in outline.silences if each is not None), default=None),
    )


def with_the_gone(look: RunLook, history: Sequence[Happening]) -> RunLook:
    """Return ``look`` with what the history tells of those who are gone, also from rounds that are over."""
    gone: dict[str, NodeLook] = {}
    for event in history:
        if event.reason is None or event.reason == "again":
            continue
        for each in event.nodes:
            gone[each.node] = NodeLook(
                each.node,
                None,
                event.reason,
                False,
                each.address or None,
                each.pid,
                host=each.host or None,
                gone_at=event.at,
                last_round=event.round,
                last_rank=each.rank,
            )
    nodes = [_filled(node, gone.pop(node.node, None)) for node in look.nodes]
    lost = [node for node in gone.values() if node.standing == "lost"]
    return replace(look, nodes=(*nodes, *lost[-_MOST_LOST:]))


def _filled(node: NodeLook, gone: NodeLook | None) -> NodeLook:
    if gone is None or node.standing not in ("lost", "left", "done"):
        return node
    if node.address is None:
        node = replace(node, address=gone.address, pid=gone.pid, host=gone.host)
    return replace(node, gone_at=gone.gone_at)
