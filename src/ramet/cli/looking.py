"""``ramet lineage``, ``schedule`` and ``best``: how a model came to be, and where it is."""

from __future__ import annotations

import argparse
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.cli.out import document, say, table
from ramet.cli.words import member_option, place, run_option, whole

if TYPE_CHECKING:
    from ramet.analysis.run import Best, Run

FORMATS = ("table", "json", "python", "optax", "torch")


def lineage(arguments: argparse.Namespace) -> int:
    """Tell from whom a model descends.

    Those are the segments that made it, its founder first. A segment is one member training under one assignment from
    one checkpoint. Its iterations are those that are in the model; the hyperparameters that changed since the segment
    before stand beside it.

    With --json: run, member, lineage, a list of: segment, member, first, last, why (it was opened), donor (whose clone
    it began as, or null), hparams.

        $ ramet lineage demo
        $ ramet lineage demo --member 3
    """
    from ramet.analysis.run import Run

    with Run(arguments.run) as run:
        member = run.best().member if arguments.member is None else arguments.member
        found = run.trace.segments
        steps: list[dict[str, Any]] = [
            {
                "segment": step.segment,
                "member": step.member,
                "first": step.first,
                "last": step.last,
                "why": found.why(step.segment) or None,
                "donor": donor if (donor := int(found.donor[step.segment])) >= 0 else None,
                "hparams": step.hparams,
            }
            for step in run.lineage(member)
        ]
        name = run.name
    if arguments.json:
        document({"run": name, "member": member, "lineage": steps})
        return 0
    rows, before = list[tuple[Any, ...]](), dict[str, Any]()
    for step in steps:
        now = _flat(step["hparams"])
        changed = {key: value for key, value in now.items() if key not in before or before[key] != value}
        before = now
        iterations = f"{step['first']}-{step['last']}" if step["last"] >= step["first"] else "none"
        clone = "" if step["donor"] is None else str(step["donor"])
        rows.append((step["segment"], step["member"], iterations, step["why"] or "", clone, _pairs(changed)))
    say(f"the model of member {member} in {name}, its founder first")
    heads = ("segment", "member", "iterations", "why", "clone of", "changed")
    table(heads, rows, right=("segment", "member", "clone of"))
    return 0


def lineage_options(parser: argparse.ArgumentParser) -> None:
    """Add the run and the member."""
    run_option(parser)
    member_option(parser)


def schedule(arguments: argparse.Namespace) -> int:
    """Tell which hyperparameters a model was trained with, and when.

    As code it needs no Ramet: python is the source of a function schedule(iteration); optax that of a schedule of one
    hyperparameter, lr(step), for optax; torch that of a function lr(optimizer), which returns a LambdaLR. json is what
    ramet replay and Schedule.load read. Iterations are reports, counted from 1, and steps those of an optimizer, from
    0: say with --steps-per-iteration how many of them one report stood for.

    With --json: run, member, steps, a list of: first, last, member, segment, hparams; with a format of code source
    besides, and with -o wrote, the file.

        $ ramet schedule demo
        $ ramet schedule demo --format python -o best_schedule.py
        $ ramet schedule demo --format torch --name lr --steps-per-iteration 100
    """
    from dataclasses import fields

    from ramet import schedule_code
    from ramet.analysis.run import Run

    with Run(arguments.run) as run:
        member = run.best().member if arguments.member is None else arguments.member
        found, name = run.schedule(member), run.name
    n, format = arguments.steps_per_iteration, arguments.format
    source = None
    if format == "python":
        source = found.to_python()
    elif format in ("optax", "torch"):
        source = schedule_code.source(found, format, arguments.name, n)
    elif format == "json":
        source = found.to_json() + "\n"
    if arguments.out is not None and source is None:
        source = found.to_json() + "\n"
    if arguments.out is not None and source is not None:
        arguments.out.write_text(source, encoding="utf-8")
    if arguments.json:
        steps = [{each.name: getattr(step, each.name) for each in fields(step)} for step in found]
        told: dict[str, Any] = {"run": name, "member": member, "steps": steps}
        told |= {"source": source} if format in ("python", "optax", "torch") else {}
        document(told | ({"wrote": arguments.out.absolute()} if arguments.out else {}))
    elif arguments.out is not None:
        say(f"wrote {arguments.out}")
    elif source is not None:
        print(source, end="")
    else:
        _schedule_table(found)
    return 0


def schedule_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the member and the format."""
    run_option(parser)
    member_option(parser)
    parser.add_argument("--format", choices=FORMATS, default="table", help="as what (default: table)")
    parser.add_argument("-o", "--out", type=place, metavar="FILE", help="write it there; a table is written as json")
    parser.add_argument("--name", default="lr", metavar="NAME", help="for optax and torch: of what (default: lr)")
    parser.add_argument(
        "--steps-per-iteration", type=whole(1), default=1, metavar="N",
        help="for optax and torch: steps of the optimizer to each iteration (default: 1)",
    )  # fmt: skip


def _schedule_table(schedule: Any) -> None:
    flat = [_flat(step.hparams) for step in schedule]
    names = list(dict.fromkeys(name for each in flat for name in each))
    rows = [
        (f"{step.first}-{step.last}", step.member, step.segment, *(each.get(name) for name in names))
        for step, each in zip(schedule, flat, strict=True)
    ]
    table(("iterations", "member", "segment", *names), rows, right=("member", "segment", *names))


def best(arguments: argparse.Namespace) -> int:
    """Tell which member is best.

    That is by the last reports; told are its value, its configuration and its checkpoint. With --checkpoint OUT the
    files of its latest checkpoint are copied into the new folder OUT; one that was made from a dict is the file
    dict_checkpoint.pkl, which is not loaded.

    With --json: run, metric, mode, member, value, segment, iteration, hparams, checkpoint (null, or segment,
    iteration, kind, size, path: null for a small one, which lies in run.db); with --checkpoint copied besides.

        $ ramet best demo
        $ ramet best demo --metric loss --mode min --checkpoint best_model
    """
    from ramet.analysis.run import Run

    with Run(arguments.run) as run:
        found = run.best(arguments.metric, arguments.mode)
        told = {**told_best(run, found), "mode": arguments.mode or run.mode}
        if arguments.checkpoint is not None:
            _copy(run, told["checkpoint"], arguments.checkpoint)
            told["copied"] = arguments.checkpoint.absolute()
    if arguments.json:
        document(told)
        return 0
    from ramet.view.values import shown, size

    kept = told["checkpoint"]
    say(f"member {found.member} of {told['run']}: {found.metric} = {shown(found.value)}, iteration {found.iteration}")
    for name, value in _flat(found.hparams).items():
        say(f"  {name} = {shown(value, 70)}")
    if kept is None:
        say("  no checkpoint of it is there")
    else:
        where = kept["path"] or "in run.db; --checkpoint OUT copies it into a folder"
        say(f"  checkpoint of iteration {kept['iteration']}, {size(kept['size'])}: {where}")
    if arguments.checkpoint is not None:
        say(f"copied its files to {arguments.checkpoint}")
    return 0


def best_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the metric and where to copy to."""
    run_option(parser)
    parser.add_argument("--metric", metavar="NAME", help="a reported metric (default: what the run is judged by)")
    parser.add_argument("--mode", choices=("min", "max"), help="what is better (default: as in the run)")
    parser.add_argument("--checkpoint", type=place, metavar="OUT", help="copy the files of its checkpoint there")


def told_best(run: Run, found: Best) -> dict[str, Any]:
    """Return who is best, and its latest checkpoint that is there, as plain data."""
    there = {(segment, at): (kind, size, path) for segment, at, kind, size, path in run.trace.bulk.checkpoints()}
    kept: dict[str, Any] | None = None
    for step in reversed(run.lineage(found.member)):
        at = max((at for segment, at in there if segment == step.segment and at <= step.last), default=None)
        if at is not None:
            kind, size, path = there[step.segment, at]
            where = None if path is None else run.path.absolute() / "checkpoints" / path
            kept = {"segment": step.segment, "iteration": at, "kind": kind, "size": size, "path": where}
            break
    return {
        "run": run.name,
        "metric": found.metric,
        "mode": run.mode,
        "member": found.member,
        "value": found.value,
        "segment": found.segment,
        "iteration": found.iteration,
        "hparams": found.hparams,
        "checkpoint": kept,
    }


def _copy(run: Run, kept: dict[str, Any] | None, out: Path) -> None:
    """Copy the files of a checkpoint into a folder that is not there yet: all of them, or there is none."""
    from ramet.checkpoint import Checkpoint
    from ramet.errors import CheckpointError, ConfigError
    from ramet.record import Record
    from ramet.store.trees import remove

    if kept is None:
        raise CheckpointError(f"no checkpoint of the best member is in {run.path}: it was not kept, or never saved")
    if os.path.lexists(out):
        raise ConfigError(f"--checkpoint {out} is there already: name a folder that is not")
    record = Record.open(run.path)
    beside = out.with_name(f".{out.name}-{uuid.uuid4().hex[:16]}")
    try:
        stored = record.checkpoint((kept["segment"], kept["iteration"]))
        out.parent.mkdir(parents=True, exist_ok=True)
        Checkpoint(stored=stored).to_directory(beside)
        os.rename(beside, out)
    finally:
        record.close()
        if beside.exists():
            remove(beside)


def _flat(hparams: Any) -> dict[str, Any]:
    from ramet.space import flatten

    return flatten(hparams)


def _pairs(values: dict[str, Any]) -> str:
    from ramet.view.values import shown

    return ", ".join(f"{name} = {shown(value)}" for name, value in values.items())
