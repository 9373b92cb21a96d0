"""The table of verbs, in the order and the groups in which the help tells them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from ramet.cli.care import check, check_options, gc, gc_options
from ramet.cli.completion import completion, completion_options
from ramet.cli.doctor import doctor, no_options
from ramet.cli.export import export, export_options
from ramet.cli.going_on import branch, branch_options, replay, replay_options, resume, resume_options
from ramet.cli.looking import best, best_options, lineage, lineage_options, schedule, schedule_options
from ramet.cli.ls import ls, ls_options
from ramet.cli.plot import plot, plot_options
from ramet.cli.show import show
from ramet.cli.trying import bench, bench_options, demo, demo_options
from ramet.cli.ui import report, report_options, ui, ui_options
from ramet.cli.watch import watch, watch_options
from ramet.cli.words import run_option


class Verb(NamedTuple):
    """A verb: the function that carries it out, and the one that adds its options to a parser."""

    run: Callable[[argparse.Namespace], int]
    options: Callable[[argparse.ArgumentParser], None]

    @property
    def name(self) -> str:
        """What is typed."""
        return self.run.__name__


GROUPS: dict[str, tuple[Verb, ...]] = {
    "Looking at runs": (
        Verb(ls, ls_options),
        Verb(show, run_option),
        Verb(watch, watch_options),
        Verb(lineage, lineage_options),
        Verb(schedule, schedule_options),
        Verb(best, best_options),
        Verb(plot, plot_options),
        Verb(report, report_options),
        Verb(ui, ui_options),
    ),
    "Taking things out": (Verb(export, export_options),),
    "Going on": (Verb(resume, resume_options), Verb(replay, replay_options), Verb(branch, branch_options)),
    "Care": (Verb(check, check_options), Verb(gc, gc_options), Verb(doctor, no_options)),
    "Trying it": (Verb(demo, demo_options), Verb(bench, bench_options)),
    "Your shell": (Verb(completion, completion_options),),
}
"""By group, the verbs."""

VERBS: tuple[Verb, ...] = tuple(verb for group in GROUPS.values() for verb in group)
"""All of them."""
