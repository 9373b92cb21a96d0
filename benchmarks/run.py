"""Measures what Ramet costs on this machine, all in one run, and prints it.

    python benchmarks/run.py                          everything that is installed; takes about ten minutes
    python benchmarks/run.py --only triangle,rounds   parts of it
    python benchmarks/run.py --write-docs             benchmarks/results.json and docs/benchmarks.md besides
    python benchmarks/run.py --render                 only docs/benchmarks.md, from benchmarks/results.json

The rivals come from `python benchmarks/rivals.py`, or --ray and --syne name interpreters that have them; with them it
takes twice as long.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # for when it is called as a script

from benchmarks import machine, rivals
from benchmarks.figures import Figure
from benchmarks.page import page, summary, table
from benchmarks.parts import PARTS, Asked, Skipped

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
VECTOR = ROOT / "benchmarks" / "vector.json"
"""What `benchmarks/vector.py` measured: it needs JAX, and a run of its own."""
CLUSTER = ROOT / "benchmarks" / "ray.json"
"""What `benchmarks/ray_cluster.py` measured: it needs Ray beside Ramet."""
APART = ("vector", "cluster")
"""Parts that have commands and files of their own."""
PAGE = ROOT / "docs" / "benchmarks.md"


def measured(asked: Asked, names: list[str], command: str) -> dict[str, Any]:
    """Measure the parts called ``names`` and return all that there is to tell, as JSON takes it."""
    before, figures, skipped = machine.load(), list[Figure](), list[Skipped]()
    for name in names:
        began = time.monotonic()
        try:
            for found in PARTS[name].measure(asked):
                if isinstance(found, Figure):
                    figures.append(found)
                    print(f"  {found.name}: {found.told()}", file=sys.stderr, flush=True)
                else:
                    skipped.append(found)
        except Exception:  # what the other parts have found, after many minutes, is worth keeping
            traceback.print_exc()
            skipped.append(Skipped(name, "what else it measures", "a script failed"))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.machine(),
        "load": [before, machine.load()],
        "versions": machine.versions(asked.ray, asked.syne),
        "figures": [figure.to_plain() for figure in figures],
        "skipped": [vars(one) for one in skipped],
    }


def write_page() -> None:
    """Write the page of the documentation from all that was measured."""
    told = [json.loads(path.read_text(encoding="utf-8")) for path in (RESULTS, VECTOR, CLUSTER) if path.exists()]
    PAGE.write_text(page(*told), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"parts, with commas between them: {','.join(PARTS)}")
    parser.add_argument("--repeats", type=int, default=7, help="how often a style is timed at most")
    parser.add_argument("--rival-repeats", type=int, default=2, help="the same for the rivals")
    parser.add_argument("--quick", action="store_true", help="see that everything runs; the figures say nothing")
    parser.add_argument("--ray", default=rivals.python("ray"), help="a Python that has Ray Tune")
    parser.add_argument("--syne", default=rivals.python("syne"), help="a Python that has Syne Tune")
    parser.add_argument("--alone", action="store_true", help="leave the rivals out")
    parser.add_argument("--json", type=Path, help="write all there is to tell to this file")
    parser.add_argument("--write-docs", action="store_true", help=f"write {RESULTS.name} and {PAGE.name}")
    parser.add_argument("--render", action="store_true", help=f"measure nothing, write {PAGE.name} anew")
    given = parser.parse_args(arguments)
    if given.render:
        write_page()
        return
    names = given.only.split(",") if given.only else [name for name in PARTS if name not in APART]
    if unknown := set(names) - PARTS.keys():
        parser.error(f"--only: {sorted(unknown)} are none of {list(PARTS)}")
    if given.repeats < 1 or given.rival_repeats < 1:
        parser.error("--repeats and --rival-repeats must be at least 1")
    asked = Asked(
        1 if given.quick else given.repeats,
        1 if given.quick else given.rival_repeats,
        None if given.alone else given.ray,
        None if given.alone else given.syne,
        given.quick,
    )
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no script is left behind
    told = measured(asked, names, _command(given))
    figures = [Figure.from_plain(plain) for plain in told["figures"]]
    print(f"{told['machine']}\n\n{table(figures)}\n\n{summary(figures)}")
    for path in {given.json, RESULTS if given.write_docs else None} - {None}:
        path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.write_docs:
        write_page()


def _command(given: argparse.Namespace) -> str:
    """Return the command as somebody else would give it: without the paths of this machine."""
    words = ["python benchmarks/run.py", *(["--only", given.only] if given.only else [])]
    words += [f"--repeats {given.repeats}"] if given.repeats != 7 else []
    words += [f"--rival-repeats {given.rival_repeats}"] if given.rival_repeats != 2 else []
    words += ["--alone"] if given.alone else []
    words += ["--quick"] if given.quick else []
    return " ".join([*words, "--write-docs"])


if __name__ == "__main__":
    main()
