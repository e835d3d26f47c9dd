"""The doors of core are fuzzed."""

import pytest

from tests.fuzz.targets import TARGETS
from tests.support.fuzzing import DOORS, Fuzzing


def test_each_door_has_a_corpus_and_a_target() -> None:
    assert sorted([*TARGETS, "answers", "replies"]) == DOORS  # the last two are of c10d and redis


@pytest.mark.parametrize("target", TARGETS)
class TestCore(Fuzzing):
    pass
