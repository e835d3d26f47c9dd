"""Stories that broke drafts of the protocol, to be read one by one.

Each is told over many seeds, which vary latencies, names, clocks, and whatever the story draws.
"""

from tests.simulation.scenarios import (
    asks,
    choices,
    deaths,
    draining,
    ledgers,
    listings,
    losses,
    messages,
    oddities,
    regrouping,
    reopening,
    settings,
)
from tests.simulation.scenarios.telling import SCENARIOS, tell

__all__ = [
    "SCENARIOS",
    "asks",
    "choices",
    "deaths",
    "draining",
    "ledgers",
    "listings",
    "losses",
    "messages",
    "oddities",
    "regrouping",
    "reopening",
    "settings",
    "tell",
]
