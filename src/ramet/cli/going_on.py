"""``ramet resume``, ``replay`` and ``branch``: training that goes on from a run, with the user's own function."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.cli.out import NOT_BEGUN, VerbError, document, say, warn
from ramet.cli.words import run, run_option, seconds, threshold, whole

if TYPE_CHECKING:
    from ramet.config import RunConfig
    from ramet.results import ResultGrid
    from ramet.schedule import Schedule


def resume(arguments: argparse.Namespace) -> int:
    """Take up a run where it was left, however that was.

    Every member goes on from its last checkpoint. FUNCTION is the training function of the run, as FILE.py:NAME or
    MODULE:NAME, without :NAME that called train. What the file does besides must stand under if __name__ == "__main__".
    This loads what the run kept aside, with pickle: resume runs of people you trust.

    It can be called again and again, as batch systems do; of a run that is over it says so, and trains nothing. The
    exit status is 1 if a member failed, 3 if there is no run, or one that never began, 75 if the time limit came.

    With --json: run, path, ended, best (as ramet best tells it, or null), failed (how many members); also where it is
    ended by a signal or the time limit.

        $ ramet resume demo train.py:train
        $ ramet resume demo train.py:train --stop training_iteration=500 --errored resume
    """
    from ramet.running import never_began
    from ramet.tuner import Tuner

    if not arguments.run.exists() or never_began(arguments.run):
        raise VerbError(f"{arguments.run} holds no run, or one that never began: begin it", NOT_BEGUN)
    changes: dict[str, Any] = {"verbose": 0 if arguments.json or arguments.quiet else 1}
    if arguments.stop:
        changes["stop"] = dict(arguments.stop)
    if arguments.time_budget is not None:
        changes["time_budget_s"] = arguments.time_budget
    if arguments.time_limit is not None:
        changes["time_limit_s"] = arguments.time_limit or None
    if arguments.executor is not None:
        changes["executor"] = arguments.executor
    if arguments.members is not None:
        changes["num_samples"] = arguments.members
    tuner = Tuner.restore(
        arguments.run,
        function_of(arguments.function),
        resume_errored=arguments.errored == "resume",
        restart_errored=arguments.errored == "restart",
        **changes,
    )
    try:
        grid = tuner.fit()
    except (SystemExit, KeyboardInterrupt):  # a signal, or the time limit: the status says which
        if arguments.json:
            from ramet.results import ResultGrid

            _told(ResultGrid(arguments.run), arguments)
        raise
    return _told(grid, arguments)


def resume_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the function, and what may change."""
    run_option(parser)
    _function_option(parser)
    parser.add_argument(
        "--errored", choices=("leave", "resume", "restart"), default="leave",
        help="members that failed: leave them, go on from their last checkpoints, or begin anew (default: leave)",
    )  # fmt: skip
    parser.add_argument("--members", type=whole(1), metavar="N", help="how many there are to be (default: as before)")
    parser.add_argument(
        "--time-budget", type=seconds, metavar="SECONDS", help="of the whole run, what is spent included"
    )
    _how_options(parser)


def replay(arguments: argparse.Namespace) -> int:
    """Train anew under the schedule that a population found.

    Hyperparameters change at exactly the recorded iterations. SCHEDULE is a run, whose best member's schedule is taken
    (or that of --member), or a file that ramet schedule --format json wrote. Members train to the schedule's end, or
    until --stop, each under seeds of its own. FUNCTION is as for ramet resume. The exit status is 1 if a member failed.

    With --json: run, path, ended, best (as ramet best tells it, or null), failed (how many members).

        $ ramet replay demo train.py:train --members 5
        $ ramet replay best.json train.py:train --metric accuracy --mode max --name again
    """
    from ramet.config import TuneConfig
    from ramet.schedule import Schedule
    from ramet.schedulers import ScheduleReplay
    from ramet.tuner import Tuner

    metric, mode = arguments.metric, arguments.mode
    if arguments.schedule.is_dir():
        from ramet.analysis.run import Run

        with Run(arguments.schedule) as past:
            schedule = past.schedule(arguments.member)
            metric, mode = metric or past.metric, mode or past.mode
    else:
        schedule = Schedule.load(arguments.schedule)
    _check_plain(schedule)
    tuner = Tuner(
        function_of(arguments.function),
        tune_config=TuneConfig(
            metric=metric, mode=mode if metric else None, num_samples=arguments.members, seed=arguments.seed,
            scheduler=ScheduleReplay(schedule),
        ),
        run_config=_run_config(arguments, {"training_iteration": schedule.last}),
    )  # fmt: skip
    return _told(tuner.fit(), arguments)


def _check_plain(schedule: Schedule) -> None:
    """Refuse a schedule with what stands for an object that was not loaded: nobody can train with that."""
    from ramet.aside import Shown
    from ramet.errors import ConfigError
    from ramet.space import flatten

    for step in schedule:
        for name, value in flatten(step.hparams).items():
            if isinstance(value, Shown):
                raise ConfigError(
                    f"the schedule has {name}={value!r}, an object that reading a run does not load: replay it in "
                    f"Python with ScheduleReplay(schedule, private=[{name!r}]) and a param_space that has it"
                )


def replay_options(parser: argparse.ArgumentParser) -> None:
    """Add the schedule, the function and the new run."""
    parser.add_argument("schedule", type=run, metavar="SCHEDULE", help="a run, or a file of a schedule")
    _function_option(parser)
    parser.add_argument("--member", type=whole(0), metavar="N", help="of a run, whose (default: the best member's)")
    parser.add_argument("--members", type=whole(1), default=1, metavar="N", help="how many to train (default: 1)")
    parser.add_argument("--metric", metavar="NAME", help="what they are judged by (default: as in the run)")
    parser.add_argument("--mode", choices=("min", "max"), help="what is better (default: as in the run)")
    parser.add_argument("--seed", type=whole(0), metavar="N", help="of the new run (default: drawn, and recorded)")
    _new_run_options(parser)


def branch(arguments: argparse.Namespace) -> int:
    """Begin a new run from a checkpoint of another one.

    The other run is only read. The point is the best member's latest checkpoint, or that of --segment and --iteration
    (ramet lineage names segments); all members begin with that model, and with its hyperparameters. Iterations go on
    from there, so --stop training_iteration=N counts those before too. FUNCTION is as for ramet resume. The exit status
    is 1 if a member failed. To give the new run a search space and a strategy, use Tuner.branch in Python.

    With --json: run, path, ended, best (as ramet best tells it, or null), failed (how many members).

        $ ramet branch demo train.py:train --stop training_iteration=500
        $ ramet branch demo train.py:train --segment 12 --iteration 60 --name other
    """
    from ramet.tuner import Tuner

    start: Any = arguments.segment
    if arguments.iteration is not None:
        segment = _segment_at(arguments) if start is None else start
        start = (segment, arguments.iteration)
    if not arguments.stop:
        warn("without --stop it trains until the function returns, or Ctrl-C")
    tuner = Tuner.branch(arguments.run, function_of(arguments.function), start, run_config=_run_config(arguments, None))
    return _told(tuner.fit(), arguments)


def branch_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the function, the point and the new run."""
    run_option(parser)
    _function_option(parser)
    parser.add_argument("--segment", type=whole(0), metavar="S", help="whose checkpoint (default: of the best member)")
    parser.add_argument("--iteration", type=whole(1), metavar="I", help="of which iteration (default: the latest)")
    _new_run_options(parser)


def function_of(text: str) -> Any:
    """Return the training function that ``FILE.py:NAME`` or ``MODULE:NAME`` names.

    Its folder is put before all others that modules are looked for in, here and in the workers.

    Raises:
        ConfigError: there is none, or its file cannot be loaded; the message says why.
    """
    from ramet.errors import ConfigError

    where, colon, name = text.rpartition(":")
    where, name = (where, name) if colon and not name.endswith(".py") else (text, "train")
    path = Path(where).expanduser()
    module = where
    if where.endswith(".py"):
        if not path.is_file():
            raise ConfigError(f"FUNCTION {text}: there is no file {where}")
        module = path.stem
        if not module.isidentifier():
            raise ConfigError(f"FUNCTION {text}: {path.name} cannot be imported under that name: call it otherwise")
    folder = str(path.absolute().parent if where.endswith(".py") else Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        loaded = importlib.import_module(module)
    except Exception as error:
        told = (str(error).splitlines() or [""])[0]
        raise ConfigError(f"FUNCTION {text}: {where} cannot be loaded, {type(error).__name__}: {told}") from error
    file = getattr(loaded, "__file__", None)
    if where.endswith(".py") and (file is None or not path.samefile(file)):
        raise ConfigError(f"FUNCTION {text}: {module} is already the name of {file or 'a module'}: rename {path.name}")
    found: Any = loaded
    for part in name.split("."):
        if not hasattr(found, part):
            there = sorted(n for n, v in vars(loaded).items() if callable(v) and getattr(v, "__module__", "") == module)
            raise ConfigError(f"FUNCTION {text}: {where} has no {name}; it has {', '.join(there) or 'no functions'}")
        found = getattr(found, part)
    return found


def _function_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "function", metavar="FUNCTION", help="the training function: FILE.py:NAME or MODULE:NAME (NAME: train)"
    )


def _how_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop", type=threshold, action="append", metavar="METRIC=VALUE",
        help="members stop where a report has at least this; can be given more than once",
    )  # fmt: skip
    parser.add_argument(
        "--executor",
        choices=("process", "inline", "ray"),
        help="worker processes, all in this one, or a Ray cluster (default: process)",
    )
    parser.add_argument(
        "--time-limit", type=seconds, metavar="SECONDS",
        help="end gently after so long, with status 75 and to be resumed; 0 for no limit (default: as before, or none)",
    )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="print no table while it trains")


def _new_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", metavar="NAME", help="of the new run (default: drawn)")
    _how_options(parser)


def _run_config(arguments: argparse.Namespace, stop: Any) -> RunConfig:
    from ramet.config import RunConfig

    return RunConfig(
        name=arguments.name,
        stop=dict(arguments.stop) if arguments.stop else stop,
        executor=arguments.executor or "process",
        time_limit_s=arguments.time_limit or None,
        verbose=0 if arguments.json or arguments.quiet else 1,
    )


def _segment_at(arguments: argparse.Namespace) -> int:
    """Return the segment in which the best member's model was at the iteration that is asked for."""
    from ramet.analysis.run import Run
    from ramet.errors import ConfigError

    with Run(arguments.run) as past:
        steps = past.lineage()
        found = [step.segment for step in steps if step.first <= arguments.iteration <= step.last]
        if not found:
            raise ConfigError(
                f"--iteration {arguments.iteration}: the best member's model has the iterations 1 to {steps[-1].last}"
            )
        return found[0]


def _told(grid: ResultGrid, arguments: argparse.Namespace) -> int:
    from ramet.analysis.run import Run
    from ramet.cli.looking import told_best
    from ramet.errors import ConfigError

    if arguments.json:
        with Run(grid.experiment_path) as done:
            try:
                best = told_best(done, done.best())
            except ConfigError:  # nobody has a value, or nobody is judged
                best = None
            document(
                {
                    "run": done.name,
                    "path": done.path.absolute(),
                    "ended": done.ended,
                    "best": best,
                    "failed": grid.num_errors,
                }
            )
    elif arguments.quiet:
        say(f"{grid.experiment_path}: {len(grid)} members, {grid.num_errors} failed")
    return 1 if grid.num_errors else 0
