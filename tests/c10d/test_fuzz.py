"""The door through which the answers of a TCPStore come in is fuzzed."""

import pytest

from tests.support.fuzzing import Fuzzing


@pytest.mark.parametrize("target", ["answers"])
class TestC10d(Fuzzing):
    pass
