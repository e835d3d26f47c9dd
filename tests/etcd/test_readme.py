"""The README's table of what is supported names tests that there are."""

import pytest

from tests.support import supported


@pytest.mark.parametrize("line", supported.lines("rendezvous-etcd"))
def test_supported(line: str) -> None:
    supported.check(line, "tests.etcd")
