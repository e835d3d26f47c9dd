"""A run of a thousand nodes, as people see it."""

import time
from contextlib import closing

from msgspec.structs import replace

from rendezvous_core.dynamic.ledgers import Ledgers
from rendezvous_core.records.codec import encode_member, encode_state
from rendezvous_core.records.ledger import PAGE, file, pages
from rendezvous_core.records.member import Member
from rendezvous_core.records.state import Seat, Settings, State
from rendezvous_core.sqlite import SqliteBackend, SqliteStore
from tests.core.cli.conftest import Rdzv

COUNT = 1000


def write(rdzv: Rdzv, lost: int, *, with_ledger: bool = True) -> None:
    """Have a run of 1,000 stand in the file, of which so many are lost."""
    names = [f"{number:016x}" for number in range(COUNT)]
    state = State(
        run="job",
        settings=Settings(500, COUNT),
        serial=7,
        phase="complete",
        round_id="round",
        roster=tuple(Seat(name, 1, 15.0) for name in names),
        gone=dict.fromkeys(names[:lost], "lost"),
        spent=dict.fromkeys(names[:lost], 1),
        coordinator=names[-1],
        term="term",
        lease=15.0,
    )
    state = file(state, state, lambda: "ledger", PAGE, anew=False)
    assert state.apart is not None
    with closing(SqliteBackend(rdzv.endpoint, "job")) as backend:
        if with_ledger:
            Ledgers(SqliteStore(rdzv.endpoint, "job"), "job").write(state.apart.id, pages(state))
        backend.set_state(encode_state(state.head))
        member = Member(node="-", address="10.0.0.1", pid=1, ticket=1, dead_after=1e4, at=time.time())
        member = replace(member, holds=state.round_id)
        for name in names[lost:]:
            backend.put_member(name, encode_member(replace(member, node=name)), announce=False)


def test_a_summary_comes_first_and_who_is_missing_by_name(rdzv: Rdzv) -> None:
    write(rdzv, lost=2)
    shown = rdzv.call("status").stdout
    assert "round 0 runs with 998 nodes." in shown
    assert "1000 nodes: 998 active, 2 lost." in shown
    rows = [line.split()[:2] for line in shown.splitlines() if " active " in line or " lost " in line]
    assert rows == [["0", "lost"], ["1", "lost"], ["999", "active"]], "and the coordinator"


def test_rows_are_there_on_demand(rdzv: Rdzv) -> None:
    write(rdzv, lost=20)
    shown = rdzv.call("status", "--all").stdout
    assert sum(" active " in line for line in shown.splitlines()) == COUNT - 20
    assert sum(" lost " in line for line in shown.splitlines()) == 20
    assert len(rdzv.status()["nodes"]) == COUNT


def test_a_line_names_no_more_than_a_few(rdzv: Rdzv) -> None:
    write(rdzv, lost=20)
    line = str(rdzv.start("watch").wait_for("line")["text"])
    assert "runs with 980 nodes; lost: " in line
    assert " and 12 more" in line


def test_a_run_whose_ledger_is_lost_is_shown_by_its_records(rdzv: Rdzv) -> None:
    write(rdzv, lost=0, with_ledger=False)
    assert "1000 nodes: 1000 active." in rdzv.call("status").stdout
    assert "1000 of 500 to 1000" in rdzv.call("runs").stdout
