"""Measures what a population costs on a Ray cluster, and writes it into the page of the documentation.

    python benchmarks/ray_cluster.py                          about fifteen minutes on two cores
    python benchmarks/ray_cluster.py --only boundary,start    parts of it; nothing is written
    python benchmarks/ray_cluster.py --quick --alone          see that everything runs

Needs Ray beside Ramet: pip install -e '.[ray]' 'ray[tune]' 's3fs' 'moto[server]'. Without the last three, Ray Tune and
the store are left out. The cluster is of its own; others that run on the machine are not touched.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for when it is called as a script

from benchmarks.figures import Figure
from benchmarks.page import summary, table
from benchmarks.parts import Asked
from benchmarks.parts.cluster import SECTIONS
from benchmarks.run import CLUSTER, measured, write_page


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"parts, with commas between them: {','.join(SECTIONS)}")
    parser.add_argument("--repeats", type=int, default=3, help="how often a style is timed at most")
    parser.add_argument("--rival-repeats", type=int, default=1, help="the same for Ray Tune, which is slow")
    parser.add_argument("--quick", action="store_true", help="sizes that say nothing; nothing is written")
    parser.add_argument("--alone", action="store_true", help="leave Ray Tune out")
    parser.add_argument("--json", type=Path, help="write all there is to tell to this file")
    given = parser.parse_args(arguments)
    only = tuple(given.only.split(",")) if given.only else ()
    if unknown := set(only) - SECTIONS.keys():
        parser.error(f"--only: {sorted(unknown)} are none of {list(SECTIONS)}")
    repeats = (1, 1) if given.quick else (given.repeats, given.rival_repeats)
    asked = Asked(*repeats, None if given.alone else sys.executable, None, given.quick, only)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no node is left behind
    command = f"python benchmarks/ray_cluster.py --repeats {given.repeats} --rival-repeats {given.rival_repeats}"
    told = measured(asked, ["cluster"], command)
    figures = [Figure.from_plain(plain) for plain in told["figures"]]
    print(f"{told['machine']}\n\n{table(figures)}\n\n{summary(figures)}")
    for path in {given.json, None if given.quick or only else CLUSTER} - {None}:
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if not given.quick and not only:
        write_page()


if __name__ == "__main__":
    main()
