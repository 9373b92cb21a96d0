"""Measures what a population in one program costs, and writes it into the page of the documentation.

python benchmarks/vector.py                  about fifteen minutes on two cores
python benchmarks/vector.py --repeats 1 --alone --quick
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # for when it is called as a script

from benchmarks import rivals
from benchmarks.figures import Figure
from benchmarks.page import summary, table
from benchmarks.parts import Asked
from benchmarks.run import VECTOR, measured, write_page


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="how often a style is timed at most")
    parser.add_argument("--quick", action="store_true", help="see that everything runs; nothing is written")
    parser.add_argument("--alone", action="store_true", help="leave Ray Tune out")
    parser.add_argument("--ray", default=rivals.python("ray"), help="a Python that has Ray Tune and JAX")
    given = parser.parse_args(arguments)
    asked = Asked(1 if given.quick else given.repeats, 1, None if given.alone else given.ray, None, given.quick)
    told = measured(asked, ["vector"], f"python benchmarks/vector.py --repeats {given.repeats}")
    figures = [Figure.from_plain(plain) for plain in told["figures"]]
    print(f"{told['machine']}\n\n{table(figures)}\n\n{summary(figures)}")
    if not given.quick:
        VECTOR.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_page()


if __name__ == "__main__":
    main()
