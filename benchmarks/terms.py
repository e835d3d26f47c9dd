"""Under which terms is measured, and what comes of it."""

from argparse import ArgumentTypeError
from dataclasses import dataclass

from benchmarks.contenders import Plan


@dataclass(frozen=True)
class Figure:
    """One cell: a number, or that it was more than could be waited for."""

    value: float
    is_over: bool = False


Figures = dict[str, Figure]


@dataclass(frozen=True)
class Terms:
    """Under which terms all contenders are measured."""

    keep_alive_interval: float
    keep_alive_max_attempt: int
    last_call: float
    limit: float
    """Seconds after which a measurement is given up."""
    repeat: int
    """Of how many groups the median is taken for how long forming takes, unless the limit is over before."""

    @property
    def window(self) -> float:
        """Seconds of silence after which a node counts as dead."""
        return self.keep_alive_interval * self.keep_alive_max_attempt

    def plan(self, contender: str, endpoint: str, least: int, most: int, *, is_counted: bool = False) -> Plan:
        """What the nodes of a group are told."""
        alive = self.keep_alive_interval, self.keep_alive_max_attempt
        return Plan(contender, endpoint, "", least, most, *alive, self.last_call, is_counted)


@dataclass(frozen=True)
class Size:
    """How many nodes in how many processes."""

    nodes: int
    processes: int

    @classmethod
    def read(cls, text: str) -> "Size":
        """Read ``NODES`` or ``NODES/PROCESSES``."""
        nodes, _, processes = text.partition("/")
        read = cls(int(nodes), int(processes or nodes))
        if read.nodes < 2 or not 2 <= read.processes <= read.nodes:
            raise ArgumentTypeError(f"{text!r} needs at least two nodes, and two to as many processes")
        return read

    def __str__(self) -> str:
        return f"{self.nodes}" if self.nodes == self.processes else f"{self.nodes}/{self.processes}"
