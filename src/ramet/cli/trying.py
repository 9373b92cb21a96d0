"""``ramet demo`` and ``bench``: a population to watch, and strategies compared."""

from __future__ import annotations

import argparse
from pathlib import Path

from ramet.cli.out import document, say
from ramet.cli.words import names, picture, seconds, whole


def demo(arguments: argparse.Namespace) -> int:
    """Watch a population learn, then see how it did.

    Trains models of a toy problem whose best learning rate first rises, then falls. Every few steps the worst become
    clones of the best, with changed learning rates; nobody tells them the schedule. At the end a picture shows the
    learning rates that were tried against the optimal ones.

    With --json: run, path, members, best (as ramet best tells it), picture (its file, or null).

        $ ramet demo
        $ ramet demo --members 16 --seed 3 --out pictures/
    """
    from ramet.demo import watch

    out = arguments.out if arguments.plot else None
    how = (arguments.members, arguments.seed, arguments.executor, arguments.pace, out, arguments.storage)
    results, drawn = watch(*how, quiet=arguments.json)
    if arguments.json:
        from ramet.analysis.run import Run
        from ramet.cli.looking import told_best

        with Run(results.experiment_path) as run:
            best = told_best(run, run.best())
            document(
                {
                    "run": run.name,
                    "path": run.path.absolute(),
                    "members": len(results),
                    "best": best,
                    "picture": None if drawn is None else drawn.absolute(),
                }
            )
    return 0


def demo_options(parser: argparse.ArgumentParser) -> None:
    """Add the population, the executor, the pace and the picture."""
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="draw another population (default: 0)")
    parser.add_argument("--members", type=whole(1), default=8, metavar="N", help="how many models (default: 8)")
    parser.add_argument(
        "--out", type=picture, default=Path("demo.png"), metavar="PATH",
        help="the picture's file (.png, .pdf, .svg), or a folder for it (default: demo.png)",
    )  # fmt: skip
    parser.add_argument(
        "--executor", choices=("process", "inline", "ray"), default="process",
        help="worker processes, all in this one, or a Ray cluster; the results are the same (default: process)",
    )  # fmt: skip
    parser.add_argument(
        "--storage", metavar="URL", help="keep the run there besides, s3://bucket/runs, say (default: in a folder)"
    )
    parser.add_argument(
        "--pace", type=seconds, metavar="SECONDS",
        help="what each training step sleeps, for something to watch: without it the toy problem is over in a second "
        "(default: so much that the demo lasts about 8 s; 0 for full speed)",
    )  # fmt: skip
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="draw no picture")


def bench(arguments: argparse.Namespace) -> int:
    """Compare strategies on problems whose answers are known.

    Every strategy trains every problem under the same seeds and with the same number of member-steps. Told are the mean
    true score of the member that a user would take, its 95 % interval by Student's t, and ranks. The exit status is 1
    if a run failed.

    With --json: the results as --from reads them: problems, strategies and settings, and runs, a list with a score for
    each. --json FILE writes them to a file and shows the tables.

        $ ramet bench --quick
        $ ramet bench --problems triangle --strategies PBT,PB2 --seeds 10 --json triangle.json
    """
    from ramet.bench import STANDARD_OUTPUT, command
    from ramet.errors import ConfigError

    try:
        plan = command.planned(arguments)
    except ConfigError as error:
        import sys

        say(f"ramet bench: {error}", file=sys.stderr)
        say("Try: ramet bench --help", file=sys.stderr)
        if arguments.json == STANDARD_OUTPUT:
            document({"error": str(error), "hint": "ramet bench --help", "status": 2})
        return 2
    return command.carry_out(plan, arguments)


def bench_options(parser: argparse.ArgumentParser) -> None:
    """Add what is compared, how, and where the results go."""
    from ramet.bench import STANDARD_OUTPUT

    add = parser.add_argument
    add("--problems", type=names, metavar="A,B", help="names of problems (default: all)")
    add("--strategies", type=names, metavar="A,B", help="names of strategies (default: all)")
    add("--seeds", type=whole(1), metavar="N", help="runs of each strategy on each problem (default: 20)")
    add("--members", type=whole(1), metavar="N", help="size of every population (default: that of each problem)")
    add("--interval", type=whole(1), metavar="N", help="reports between two decisions (default: 5)")
    add(
        "--executor", choices=("inline", "simulated"),
        help="members take turns, or train in virtual time (default: inline)",
    )  # fmt: skip
    add("--jobs", type=whole(1), metavar="N", help="runs at a time, each in a process (default: one for each core)")
    add("--quick", action="store_true", help="see that everything runs; the figures say nothing")
    add("--keep", type=Path, metavar="DIR", help="keep the runs' folders there")
    add(
        "--json", type=Path, nargs="?", const=STANDARD_OUTPUT, metavar="FILE",
        help="write the results to this file; without one, print them as one JSON document",
    )  # fmt: skip
    add("--plot", type=picture, metavar="OUT", help="draw them into this file (.png, .pdf, .svg)")
    add("--from", dest="results", type=Path, metavar="JSON", help="run nothing, show these results")
