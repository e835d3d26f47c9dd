"""What is measured of a contender at one size: how it forms, how it reacts, and what it costs."""

import statistics
import time
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.contenders import CONTENDERS, options
from benchmarks.group import Group
from benchmarks.proxy import proxy
from benchmarks.reactions import death, newcomer
from benchmarks.servers import requests_of
from benchmarks.terms import Figure, Figures, Size, Terms

_INTERVALS = 2
"""For how many keep-alive intervals a group is watched that runs."""


def forming(contender: str, endpoint: str, size: Size, terms: Terms) -> Figures:
    """From the first ask to the last rank, of groups that are complete with the last node."""
    plan = terms.plan(contender, endpoint, size.nodes, size.nodes)
    taken: list[float] = []
    enough = time.monotonic() + terms.limit
    while not taken or (len(taken) < terms.repeat and time.monotonic() < enough):
        with Group(plan, size.processes) as group:
            seconds = form(group, terms.limit)
        if seconds is None:
            return {"forming": Figure(terms.limit, is_over=True)}
        taken.append(seconds)
    return {"forming": Figure(statistics.median(taken))}


def cost(contender: str, endpoint: str, size: Size, terms: Terms) -> Figures:
    """Requests and bytes per node, while a group forms and per keep-alive interval; processor time of these.

    The group meets by way of a proxy that counts, so that its times are not those of `forming`.
    """
    server = CONTENDERS[contender].server
    with ExitStack() as stack:
        counter = None if server == "sqlite" else stack.enter_context(proxy(endpoint))
        plan = terms.plan(contender, counter.endpoint if counter else endpoint, size.nodes, size.nodes)
        group = stack.enter_context(Group(replace(plan, is_counted=counter is None), size.processes))

        def read() -> tuple[int, int]:
            if counter is None:
                counted = group.ask("count", "counted", group.seats)
                return sum(each["requests"] for each in counted), sum(each["bytes"] for each in counted)
            passed = counter.read()
            asked = requests_of(server, endpoint)
            return passed.requests if asked is None else asked, passed.bytes

        at_first = read()
        if form(group, terms.limit) is None:
            return {"requests to form": Figure(terms.limit, is_over=True)}
        formed = read()
        time.sleep(terms.keep_alive_interval)  # the first heartbeats of a round are more
        leaders = _coordinators(group)
        before, rested = group.ask("usage", "used", group.seats), read()
        time.sleep(_INTERVALS * terms.keep_alive_interval)
        ran, after = read(), group.ask("usage", "used", group.seats)
    shares = size.nodes * _INTERVALS
    figures = {
        "requests to form": Figure((formed[0] - at_first[0]) / size.nodes),
        "bytes to form": Figure((formed[1] - at_first[1]) / size.nodes),
        "requests": Figure((ran[0] - rested[0]) / shares),
        "bytes": Figure((ran[1] - rested[1]) / shares),
    }
    if size.processes == size.nodes:
        used = {seat: 1000 * (after[seat] - before[seat]) / _INTERVALS for seat in group.seats}
        led = [used.pop(seat) for seat in leaders]
        figures["follower, ms"] = Figure(statistics.median(used.values()))
        if led:
            figures["coordinator, ms"] = Figure(max(led))
    return figures


MEASURES = {"forming": forming, "newcomer": newcomer, "death": death, "cost": cost}


def form(group: Group, limit: float) -> float | None:
    """Have all nodes ask; return the seconds from first ask to last rank, or ``None`` above ``limit``."""
    group.order(group.seats, "join")
    if not group.until(lambda: group.last(group.seats, "ranked") is not None, limit):
        return None
    return (group.last(group.seats, "ranked") or 0.0) - group.first(group.seats, "asked")


def _coordinators(group: Group) -> list[int]:
    """Whose process coordinates the run; torch's nodes are all alike."""
    from rendezvous_core import RendezvousParameters
    from rendezvous_core.cli.lookout import Lookout

    plan = group.plan
    contender = CONTENDERS[plan.contender]
    if contender.peer is None:
        return []
    backend = contender.backend
    given = plan.min_nodes, plan.max_nodes, "localhost"
    lookout = Lookout(RendezvousParameters(backend, plan.endpoint, plan.run_id, *given, **options(backend)))
    try:
        seen = lookout.look()
    finally:
        lookout.close()
    pids = {node.pid for node in seen.nodes if node.coordinates} if seen else set()
    return [seat for seat in group.seats if group.pid(seat) in pids]
