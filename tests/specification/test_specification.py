"""The rules by themselves: every run within bounds keeps the promises; with a rule left out, one does not."""

import pytest

from tests.specification.checker import (
    BEYOND,
    GATE,
    LEDGER_BEYOND,
    LEDGER_GATE,
    Bounds,
    LedgerBounds,
    check,
    check_progress,
    need_spin,
)
from tests.specification.mutants import MUTANTS

_SOME = {
    "a write stands though others have written (Rule 3)",
    "a state names a ledger that is not whole yet (Rule 24)",
    "a page is overwritten (Rule 24)",
}

pytestmark = pytest.mark.usefixtures("spin")


@pytest.fixture(scope="module")
def spin() -> None:
    need_spin()


@pytest.mark.parametrize(
    "bounds",
    [
        *(GATE + LEDGER_GATE),
        *(pytest.param(each, marks=pytest.mark.thorough) for each in BEYOND + LEDGER_BEYOND),
    ],
    ids=str,
)
def test_every_run_keeps_the_promises_and_comes_to_rest(bounds: Bounds | LedgerBounds) -> None:
    verdict = check(bounds)
    assert verdict.broken is None, verdict.text


@pytest.mark.thorough
def test_all_settle_for_good_where_nobody_is_put_off_for_ever() -> None:
    verdict = check_progress(Bounds(nodes=2, faults=1))
    assert verdict.broken is None, verdict.text


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each in _SOME else pytest.mark.thorough) for each in MUTANTS]
)
def test_a_rule_left_out_breaks_a_promise(name: str) -> None:
    mutant = MUTANTS[name]
    verdict = check(mutant.bounds, mutant.changes, level="-O0")
    assert verdict.broken is not None, verdict.text
    assert mutant.broken in verdict.broken
