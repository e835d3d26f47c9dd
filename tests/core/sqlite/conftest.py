"""A database for each test."""

from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "private" / "rendezvous.db")
