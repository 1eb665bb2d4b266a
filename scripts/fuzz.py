"""Made-up files and answers for every reader of foreign bytes: whether each is refused in dream's
own words, within half a second of work and 128 MiB of memory.

    python -m scripts.fuzz                          a million cases for each reader, for hours
    python -m scripts.fuzz --cases 10000            as the tests do
    python -m scripts.fuzz --reader zips --seed 3 --first 123 --cases 1 --keep FILE
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from scripts.fuzzing import foreign, pictures, servers, settings, weights
from scripts.fuzzing.runner import case_of, run

READERS = (
    *weights.READERS,
    *settings.READERS,
    *pictures.READERS,
    *foreign.READERS,
    *servers.READERS,
)


def main() -> int:
    """Prints what breaks a promise; 1 where something does."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [reader.name for reader in READERS]
    parser.add_argument("--reader", choices=names, action="append", help="of the table; all")
    parser.add_argument("--cases", type=int, default=1_000_000, help="for each; %(default)s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--keep", type=Path, help="writes the first case into this file")
    wanted = parser.parse_args()
    found = 0
    for reader in READERS:
        if wanted.reader and reader.name not in wanted.reader:
            continue
        if wanted.keep:
            wanted.keep.write_bytes(case_of(reader, wanted.seed, wanted.first))
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for finding in run(
                reader, root, seed=wanted.seed, first=wanted.first, cases=wanted.cases
            ):
                found += 1
                print(f"{reader.name} {finding.case} ({finding.size:,} bytes): {finding.what}")
        taken = time.process_time() - start
        print(f"{reader.name}: {wanted.cases:,} cases in {taken:.0f} s", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
