"""Rules left out of the specification, one by one, and the promise that breaks then."""

from typing import NamedTuple

from tests.specification.checker import Bounds, LedgerBounds

FEW = Bounds(nodes=2, faults=1)
MORE = Bounds(nodes=2, faults=2)
LEDGER = LedgerBounds(nodes=2, faults=2)


class Mutant(NamedTuple):
    """Some words of the specification that stand for others."""

    changes: tuple[tuple[str, str], ...]
    broken: str
    """What the checker names."""
    bounds: Bounds | LedgerBounds = FEW


MUTANTS = {
    "a write stands though others have written (Rule 3)": Mutant(
        (
            ("going && look[i].there && current[i] && phase", "going && look[i].there && phase"),
            ("look[i].there && (phase == closed || !current[i])", "look[i].there && phase == closed"),
            (":: j != i && look[j].there -> forget(j)", ":: false"),
        ),
        "look[i].after==rounds",
        MORE,
    ),
    "who lives is evicted (Rule 4)": Mutant(
        (("IN(look[i].dead, j) -> depart", "j != i -> depart"),), "look[i].in_truth>>j"
    ),
    "too few form a round (Rule 6)": Mutant(
        (*((f"{what} {how} MIN", f"{what} {how} 1") for what in ("able", "living") for how in ("<", ">=")),),
        "n>=2",
    ),
    "a departure spends no ticket (Rule 7)": Mutant(
        (("spent[j] = (seat[j] > spent[j] -> seat[j] : spent[j]);", ""),), "spent[j]>=seat[j]"
    ),
    "a round is left while somebody is in it (Rule 7)": Mutant(
        ((":: b -> waiting = able > 0 && n < MAX", ":: b && !able -> waiting = false"),),
        "spent[j]>=seat[j]",
        Bounds(nodes=3, faults=1, most=2),
    ),
    "nobody is told of a loss (Rule 8)": Mutant(
        (("IN(gone, i) || waiting || (gone & ~excused)", "IN(gone, i) || waiting"),),
        "condition[0]==1",
        Bounds(nodes=3, faults=1),
    ),
    "who cancelled is taken out of its round (Rule 9)": Mutant(
        (
            (":: look[i].shows[j].intent == cancel\n", ":: false\n"),
            ("shows[j].intent == leave ->", "shows[j].intent != done ->"),
        ),
        "intent[j]!=",
        MORE,
    ),
    "nobody takes over (Rule 10)": Mutant(
        ((" || IN(silent, coordinator) || faults) ->", ") ->"),),
        "condition[0]==1",
    ),
    "a closed run goes on (Rule 12)": Mutant(
        (
            ("current[i] && phase != closed ->\n        RULE {\n", "current[i] ->\n        RULE {\n"),
            ("look[i].there && (phase == closed || !current[i])", "look[i].there && !current[i]"),
            (
                ":: phase == joining ->\n        count_asks(i);",
                ":: phase != complete ->\n        count_asks(i);",
            ),
        ),
        "was_closed",
        MORE,
    ),
    "two have one rank (Rule 20)": Mutant(
        (("next_rank[j] = r; r = r + 1", "next_rank[j] = 0; r = r + 1"),), "rank[j]!=rank[k]"
    ),
    "a state names a ledger that is not whole yet (Rule 24)": Mutant(
        (("next[i] == (files[i] -> PAGES : 0)", "(next[i] || !files[i])"),),
        "lost|| !(current[i])",
        LEDGER,
    ),
    "a page is overwritten (Rule 24)": Mutant(
        (
            (
                "files[i] = ledgers; ledgers = ledgers + 1",
                "files[i] = (seen[i].names -> seen[i].names : ledgers); ledgers = ledgers + 1",
            ),
        ),
        "says[",
        LEDGER,
    ),
    "who is refused drops the ledger that stood (Rule 24)": Mutant(
        (("drops[i] = j;", "drops[i] = seen[i].names;"),), "lost|| !(current[i])", LEDGER
    ),
    "what is refused stays (Rule 24)": Mutant((("drops[i] = j;", ""),), "gave_up", LEDGER),
    "a ledger that is missed is not stored anew (Rule 24)": Mutant(
        (("is_missed(seen[i].names) &&", "false &&"),), "told[0]", LEDGER
    ),
    "a round of which nobody knows who is in it goes on (Rule 24)": Mutant(
        (("!finds(i, ALL) && missed[i] == seen[i].names &&", "false &&"),), "told[0]", LEDGER
    ),
}
