"""``python -m tests.fuzz TARGET SECONDS [FOLDER]``: fuzz one door, led by coverage (Atheris).

Begins with the corpus of the target. What is new goes to FOLDER, which is none of the repository's; copy what
is worth it to the corpus. A failure leaves its input in FOLDER and ends with another code than 0.
"""

import sys
import tempfile

import atheris

from tests.fuzz import CORPUS, target_of

PACKAGES = ["rendezvous_core", "rendezvous_redis", "rendezvous_c10d"]


def main() -> None:
    """Run the command."""
    name, seconds, *more = sys.argv[1:]
    folder = more[0] if more else tempfile.mkdtemp(prefix="fuzz-")
    with atheris.instrument_imports(include=PACKAGES):
        target = target_of(name)
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
    atheris.Setup(arguments, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
