"""``rdzv`` with a secret: who has it sees the run, and nobody sees it."""

from pathlib import Path

import pytest

from rendezvous_core.cli.exit_codes import ExitCode
from tests.core.cli.conftest import COMMAND, CONF, Rdzv, wait_until_up

MARKER = "hunterMARK2-and-more"


def command_lines() -> str:
    """What the list of processes shows of all processes there are."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_text(errors="replace"))
        except OSError:
            continue  # it has ended
    return "\n".join(lines)


@pytest.mark.parametrize(
    "given",
    [{"RENDEZVOUS_SECRET": MARKER}, {"RDZV_CONF": f"secret={MARKER},{CONF}"}],
    ids=["environment", "option"],
)
def test_a_secret_is_in_no_output_and_in_no_list_of_processes(rdzv: Rdzv, given: dict[str, str]) -> None:
    nodes = rdzv.start("run", "--json", "--local-addr=127.0.0.1", "--spawn=2", "--", *COMMAND, **given)
    for _ in range(2):
        wait_until_up(nodes)
    assert MARKER not in command_lines()

    seen = rdzv.call("status", **given)
    blind = rdzv.call("status")
    wrong = rdzv.call("close", RENDEZVOUS_SECRET="another secret of these")
    rdzv.open_gate()
    assert nodes.wait() == ExitCode.OK
    codes = [each.returncode for each in (seen, blind, wrong)]
    assert codes == [ExitCode.OK, ExitCode.BAD_STATE, ExitCode.BAD_STATE]
    assert "secret_file" in blind.stderr
    said = [str(nodes.events), nodes.stderr, *(each.stdout + each.stderr for each in (seen, blind, wrong))]
    assert MARKER not in "".join(said)
