"""The rooms of core whose tests are scored by mutants."""

from typing import NamedTuple


class Room(NamedTuple):
    """What is changed, and the tests that are to notice: quick ones, which need nothing but their process."""

    folders: tuple[str, ...]
    tests: list[str]
    mark: str
    """Where the score is put down."""


SIMULATION = (
    *("answers", "choices", "details", "following", "golden", "invariants", "living", "lookups"),
    *("news", "observation", "records", "terms"),
)

HANDLER = (
    *("asking", "assembly", "chronicle", "clock", "drain", "driver", "faults", "growth", "handler"),
    *("history", "launchers", "ledger", "logs", "performing", "recorder"),
    *("regrouping", "reopening", "reporting", "round_store", "rounds", "thread", "waiters"),
    *("waits", "wishes"),
)

ROOMS = {
    "protocol": Room(
        ("protocol", "records"),
        [
            "tests/mutation/reach.py",
            *(f"tests/simulation/test_{each}.py" for each in SIMULATION),
            "tests/core/test_codec.py",
            "tests/core/test_format.py",
        ],
        "mutation",
    ),
    "dynamic": Room(
        ("dynamic",), [f"tests/core/handler/test_{each}.py" for each in HANDLER], "mutation of dynamic"
    ),
}
