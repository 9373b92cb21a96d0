"""``ramet show``: what came of a run."""

from __future__ import annotations

import argparse

from ramet.cli.out import document, say


def show(arguments: argparse.Namespace) -> int:
    """Say what came of a run.

    That is how it ended, what was decided, who is best and how that came to be. Works on a run that is under way too,
    and never loads anything but its numbers and words.

    With --json: name, path, state ("ended", "under way", "stopped" or "broken off"), ended (why), seed, facts (how it
    was set up), best (as ramet best tells it, or null), members (a list, with the columns of the table members), notes.

        $ ramet show demo
        $ ramet show ~/ramet_runs/demo --json | jq .best.value
    """
    if arguments.json:
        return _as_json(arguments)
    from ramet.analysis.glance import glance
    from ramet.store.lock import is_held
    from ramet.view.summary import summary
    from ramet.view.wording import plain

    population = glance(arguments.run)
    for line in summary(population, arguments.run.resolve(), population.spent):
        print(plain(line))
    if population.ended is None and is_held(arguments.run):
        say(f"  under way: a process is at work on it; ramet watch {arguments.run} follows it")
    return 0


def _as_json(arguments: argparse.Namespace) -> int:
    from ramet.analysis.run import Run
    from ramet.cli.looking import told_best
    from ramet.errors import ConfigError

    with Run(arguments.run) as run:
        try:
            best = told_best(run, run.best())
        except ConfigError:  # nobody has a value yet, or nobody is judged
            best = None
        told = {
            "name": run.name,
            "path": run.path.resolve(),
            "state": run.state,
            "ended": run.ended,
            "seed": run.seed,
            "facts": run.facts,
            "best": best,
            "members": run.members().to_dict("records"),
            "notes": [text for _, text in run.trace.noted],
        }
    document(told)
    return 0
