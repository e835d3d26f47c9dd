"""``python -m tests.fuzz TARGET SECONDS [FOLDER]``: fuzz one door, led by coverage (Atheris).

Begins with the corpus of the target. What is new goes to FOLDER, which is none of the repository's; copy what
is worth it to the corpus. A failure leaves its input in FOLDER and ends with another code than 0.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rendezvous_core"]):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")


def main() -> None:
    """Run the command."""
    name, seconds, *more = sys.argv[1:]
    folder = more[0] if more else tempfile.mkdtemp(prefix="fuzz-")
    arguments = [
        sys.argv[0],
        folder,
        str(CORPUS / name),
        f"-artifact_prefix={folder}/",
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=1024",
        "-max_len=4096",
    ]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
