"""Stock torchrun with a secret: an agent that has not got it is told at once, and disturbs nobody."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.c10d import backends
from tests.c10d.agents import PART, Job
from tests.c10d.scenarios import end

pytestmark = pytest.mark.timeout(600)

SECRET = "the secret of these agents"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    """Its agents meet in a TCPStore, and its workers only look as if they trained."""
    monkeypatch.delenv("RENDEZVOUS_SECRET", raising=False)
    with backends.c10d(tmp_path) as meeting:
        job = Job(tmp_path, meeting.name, meeting.endpoint, "2:3", **meeting.conf)
        job.train = PART
        yield job
        job.close()


def test_who_has_not_the_secret_is_told_at_once_and_disturbs_nobody(job: Job) -> None:
    """One is given it by the environment, one as an option that names a file; a third one by nobody."""
    file = job.folder / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    agents = [job.start(2, RENDEZVOUS_SECRET=SECRET), job.start(3, f"{job.conf},secret_file={file}")]
    began = job.wait_for_world(*agents)
    stranger = job.start(4)
    assert stranger.wait() == 1
    assert "RendezvousSecretError" in "\n".join(stranger.errors), job.report()
    assert stranger.latest is None
    assert [agent.latest for agent in agents] == began, "they have begun anew"
    end(job, agents)
    told = "\n".join(line for agent in job.agents.values() for line in agent.errors)
    assert SECRET not in told
