"""The page on security: its commands typed, as written."""

from pathlib import Path

import pytest

from tests.docs.steps import Shell, read_blocks, read_commands

MADE, CHANGED = [
    [command for command, _ in read_commands(block.text)]
    for block in read_blocks("security.md")
    if block.language == "console" and "openssl" in block.text
]


def test_a_secret_is_made_and_changed_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("RENDEZVOUS_SECRET", "RDZV_BACKEND", "RDZV_ENDPOINT", "RDZV_CONF"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("RDZV_SQLITE_PATH", str(tmp_path / "run.db"))
    secret = tmp_path / "secret"
    shell = Shell(tmp_path)
    try:
        for command in MADE:
            if not command.startswith("pip "):
                shell.run(command)
        assert secret.stat().st_mode & 0o777 == 0o600
        counts = []
        for command in CHANGED:
            shell.run(command)
            counts.append(len(secret.read_text().split()))
        assert counts == [1, 2, 2, 1]
        assert secret.read_text() == (tmp_path / "new").read_text()
        assert secret.stat().st_mode & 0o777 == 0o600
    finally:
        shell.close()
