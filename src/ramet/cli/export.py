"""``ramet export``: a run's tables as files."""

from __future__ import annotations

import argparse

from ramet.cli.out import document, say
from ramet.cli.words import place, run_option

TABLES = (
    *("members", "segments", "reports", "decisions", "checkpoints", "founders", "replacements", "lineage"),
    "schedule",
)
"""Those of `ramet.analysis.export`, which a parser has no time to load."""


def export(arguments: argparse.Namespace) -> int:
    """Write a run's tables as CSV, Parquet or JSON, a file each.

    Beside them export.json tells what the run was and what the columns are. The tables are members, segments, reports,
    decisions, checkpoints, founders, replacements, lineage (of every model) and schedule (of the best member). A run
    that is under way is exported as it stands.

    With --json: run, format, files, a list of: table (null for export.json), file, rows.

        $ ramet export demo -o tables
        $ ramet export demo reports decisions --format parquet -o tables --force
    """
    import json

    from ramet.analysis.run import Run

    with Run(arguments.run) as run:
        files = run.export(arguments.out, arguments.format, arguments.tables or None, overwrite=arguments.force)
        name = run.name
    about = json.loads(files[-1].read_text(encoding="utf-8"))["tables"]
    told = [{"table": path.stem, "file": path.absolute(), "rows": about[path.stem]["rows"]} for path in files[:-1]]
    if arguments.json:
        last = {"table": None, "file": files[-1].absolute(), "rows": None}
        document({"run": name, "format": arguments.format, "files": [*told, last]})
        return 0
    from ramet.view.values import count

    for path, each in zip(files, told, strict=False):
        say(f"wrote {path}, {count(each['rows'], 'row')}")
    return 0


def export_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the tables, the format and the folder."""
    run_option(parser)
    parser.add_argument(
        "tables", nargs="*", type=_table, metavar="TABLE", help=f"which: {', '.join(TABLES)} (default: all)"
    )
    parser.add_argument("--format", choices=("csv", "parquet", "json"), default="csv", help="(default: csv)")
    parser.add_argument("-o", "--out", type=place, required=True, metavar="FOLDER", help="where; it is made if need be")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def _table(text: str) -> str:
    if text not in TABLES:
        raise argparse.ArgumentTypeError(f"there is no table {text!r}; there are {', '.join(TABLES)}")
    return text
