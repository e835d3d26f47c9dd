"""The door through which a server's replies come in is fuzzed."""

import pytest

from tests.support.fuzzing import Fuzzing


@pytest.mark.parametrize("target", ["replies"])
class TestRedis(Fuzzing):
    pass
