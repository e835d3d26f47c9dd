"""``python -m tests.simulation --schedules N``: random schedules, for as many as one likes.

``--seed`` names the first one; ``--write`` puts the figure into the docs.
"""

import argparse
import multiprocessing
import os

from tests.simulation.schedules import fails
from tests.support.pages import put_down


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.schedules)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for played, failure in enumerate(pool.imap_unordered(fails, seeds, chunksize=50), start=1):
            if failure:
                raise SystemExit(failure)
            if played % 1_000 == 0:
                print(f"{played:,} of {len(seeds):,} schedules keep all promises", flush=True)
    if options.write:
        told = f"{len(seeds):,} schedules, from seed {seeds.start:,}: all promises hold in each.\n"
        put_down("reliability.md", "schedules", told)


if __name__ == "__main__":
    main()
