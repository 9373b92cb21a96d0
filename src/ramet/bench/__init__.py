"""``ramet bench``: strategies compared on problems whose answers are known, each with the same number of member-steps.

`entries` is the table of what is compared, `plan` what is asked for, `worker` one run, `crew` many of them side by
side, `results` what came of them and the file it is kept in, `summary` their means, intervals and ranks, `show` the
table, `plot` the picture, and `command` puts them together.

>>> from ramet.bench.entries import ENTRIES
>>> "PBT" in ENTRIES
True
"""

from pathlib import Path

STANDARD_OUTPUT = Path("-")
"""In the place of a file for the results: print them."""
