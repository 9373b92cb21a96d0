"""``ramet watch``: the live table of a run that another process works on."""

from __future__ import annotations

import argparse

from ramet.cli.words import run_option


def watch(arguments: argparse.Namespace) -> int:
    """Watch a run that another process works on, from where it is now.

    It is the live table that the run itself shows. Only reads: the run does not notice. It ends by itself when the run
    has ended (status 0), or the process that ran it is gone (status 1, with the call that goes on). Ctrl-C detaches
    (status 130) and leaves the run as it is. Where the output is no terminal, what happens is printed line by line.

    With --json: each line is one object: kind is that of an event in the run's ledger (Reported, Kept, Decided, Opened,
    Failed, Finished, Ended and others), seq its number there, member whom it is about, and the rest its fields; of
    Reported only the last row's metrics. The first is of kind Attached, the last of kind Gone if the process is.

        $ ramet watch demo
        $ ramet watch demo --once
        $ ramet watch demo --json --all | jq -c 'select(.kind == "Decided")'
    """
    from ramet.view.watch import watch

    return watch(arguments.run, once=arguments.once, as_json=arguments.json, from_start=arguments.all)


def watch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `watch`."""
    run_option(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--once", action="store_true", help="print the table as it is now, and end")
    how.add_argument("--json", action="store_true", help="print each event as a JSON object on a line of its own")
    parser.add_argument(
        "--all", action="store_true", help="with --json: begin with all that has happened, in place of Attached"
    )
