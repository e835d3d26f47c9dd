"""The long run, for moments: it plays, and finds nothing."""

from pathlib import Path

import pytest

from tests.endurance.play import play
from tests.redis.networks import network


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["etcd", "redis"])
def test_group_keeps_the_promises(kind: str, tmp_path: Path) -> None:
    with network() as net:
        found, group = play(kind, net, tmp_path, 20.0, seed=1)
    assert not found.broken
    assert group.acts
    assert found.tried["agreement"]
