"""Rules of the protocol, each with the story that fails without it."""

from tests.simulation.bites import (
    asking,
    coordinating,
    deciding,
    draining,
    ledgers,
    living,
    observing,
    regrouping,
    reopening,
)
from tests.simulation.bites.bite import Bite, take_out

__all__ = ["BITES", "Bite", "take_out"]

BITES = [
    *asking.BITES,
    *living.BITES,
    *coordinating.BITES,
    *observing.BITES,
    *deciding.BITES,
    *regrouping.BITES,
    *reopening.BITES,
    *draining.BITES,
    *ledgers.BITES,
]
