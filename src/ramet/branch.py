"""Where a branch begins: a point of another run, what led to its model, and its checkpoint. That run is only read."""

from __future__ import annotations

import dataclasses
import math
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.aside import Shown
from ramet.checkpoint import Checkpoint
from ramet.config import TuneConfig
from ramet.core.blocks import last_row
from ramet.core.engine import Engine
from ramet.core.events import Event, Kept, Opened, Reported
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import FOREBEAR, INHERITED, Point, Population, Segment
from ramet.core.scores import scored
from ramet.core.stopping import Threshold, stop_rules
from ramet.errors import CheckpointError, ConfigError, RunError
from ramet.nested import copied, leaves
from ramet.record import Record
from ramet.store.ledger import ReportRow
from ramet.whereabouts import folder_of

if TYPE_CHECKING:
    from ramet.tuner import Tuner

Name = tuple[int, int]

ELSEWHERE = StoredCheckpoint("pickle", b"")
"""Stands for the content of a checkpoint that stays in the run that it was made in."""

MOST = 12
"""So many segments or iterations are named in an error."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The ``point`` of the run in ``folder`` that a branch begins from.

    Args:
        folder: the run's folder, which may be anybody's.
        population: what had become of the run when it was read.
        point: the report whose checkpoint all members start from.
        reports: by segment of the model's lineage, its founder's first, the reports that went into the model.
    """

    folder: Path
    population: Population
    point: Point
    reports: Sequence[Sequence[ReportRow]]

    @property
    def lineage(self) -> list[Segment]:
        """The segments that made the model, its founder's first."""
        return self.population.lineage(self.point.segment)

    @property
    def run(self) -> str:
        """The run's name."""
        return str(self.population.facts.get("run", self.folder.name))

    @property
    def facts(self) -> dict[str, Any]:
        """What a branch records of where it began."""
        member = self.population.segments[self.point.segment].member
        return {
            "run": self.run,
            "path": os.path.abspath(self.folder),
            "segment": self.point.segment,
            "iteration": self.point.iteration,
            "member": member if member != FOREBEAR else None,
        }

    # ------------------------------------------------------------------ what a branch is set up with

    def space(self, given: Any) -> Any:
        """Return ``given``, a ``param_space``, with the hyperparameters in force at the point where it names none.

        Raises:
            ConfigError: one of these is an object, which is never loaded from another run.
        """
        if not isinstance(given, (Mapping, type(None))):
            return given  # the tuner says what it should be
        merged = _over(self.population.segments[self.point.segment].hparams, given or {})
        objects = ["/".join(path) for path, value in leaves(merged) if _holds_object(value)]
        if objects:
            raise ConfigError(
                f"Tuner.branch: {', '.join(map(repr, objects))} of segment {self.point.segment} of {self.folder} is no "
                "plain data, and objects of another run are never loaded: give it, param_space={"
                + ", ".join(f"{name.split('/')[0]!r}: …" for name in objects)
                + "}"
            )
        return merged

    def tune(self, given: TuneConfig | None) -> TuneConfig:
        """Return ``given`` with the metric and the mode of the run where it names none; its members by default."""
        facts = self.population.facts
        old, old_mode = facts.get("metric"), facts.get("mode")
        if given is None:
            return TuneConfig(metric=old, mode=old_mode, num_samples=len(self.population.members))
        if not isinstance(given, TuneConfig):
            return given  # the tuner says what it should be
        metric = given.metric or getattr(given.scheduler, "metric", None)
        mode = given.mode or getattr(given.scheduler, "mode", None)
        changes: dict[str, Any] = {} if metric is not None else {"metric": old}
        if mode is None and metric in (None, old):
            changes["mode"] = old_mode
        return dataclasses.replace(given, **changes)

    def check(self, tuner: Tuner) -> None:
        """Refuse what could not begin here.

        Raises:
            ConfigError: a stop rule is met already, or decisions are timed by what was not reported.
        """
        where = f"iteration {self.point.iteration} of segment {self.point.segment} of {self.folder}"
        row = self._row()
        for rule in stop_rules(tuner.run.stop).member:
            if isinstance(rule, Threshold) and rule.metric in row and rule.step(None, row)[1] is not None:
                raise ConfigError(
                    f"Tuner.branch(run_config=RunConfig(stop={{{rule.metric!r}: {rule.value}}})) is met where the "
                    f"branch begins: {rule.metric} is {row[rule.metric]} at {where}. {rule.metric} goes on from there: "
                    "give a higher value, or an earlier start="
                )
        if tuner.strategy.decides and math.isnan(self._time(self.point, row, tuner.strategy.time_attr)):
            raise ConfigError(
                f"{type(tuner.strategy).__name__}(time_attr={tuner.strategy.time_attr!r}) is no number among what was "
                f"reported at {where}, {sorted(row)}: report it there, or choose time_attr='training_iteration'"
            )

    # ------------------------------------------------------------------ what it takes over

    def begin(
        self, tuner: Tuner, engine: Engine, record: Record, seed: int, founders: Sequence[Mapping[str, Any]], facts: Any
    ) -> None:
        """Begin the branch in ``record``, at once or not at all: the model's past, its checkpoint, and the members.

        Raises:
            CheckpointError: the checkpoint has gone, or was damaged, since it was asked for.
        """
        stored = self._content(record)
        past = list(self._past(tuner, stored.size))
        kept = [(event.segment, event.iteration) for event in past if isinstance(event, Kept)]
        events = engine.begin(seed, founders, {**facts, "branched": self.facts}, past)
        garbage = engine.population.garbage() | set(kept[:-1])
        record.commit(events, {**dict.fromkeys(kept, ELSEWHERE), kept[-1]: stored}, garbage=garbage)

    def _content(self, record: Record) -> StoredCheckpoint:
        there = Record.open(self.folder)
        try:
            found = there.checkpoint(self.point.checkpoint)
            name = f"{len(self.reports) - 1:06d}-{self.point.iteration:08d}"
            return Checkpoint(stored=found).pack(record.store, name)
        except CheckpointError as error:
            raise _refused(there, self.population, self.point.checkpoint, str(error)) from error
        finally:
            there.close()

    def _past(self, tuner: Tuner, size: int) -> Iterator[Event]:
        """Yield what made the model, told as the beginning of another run; ``size`` is that of its checkpoint."""
        for number, (segment, reports) in enumerate(zip(self.lineage, self.reports, strict=True)):
            info = segment.info
            if segment.member != FOREBEAR:  # else it says already where it is from
                info = {"why": INHERITED, "run": self.run, "segment": segment.number, "member": segment.member}
            yield Opened(number, 0, number - 1 if number else None, segment.start, segment.hparams, info)
            points = {point.iteration: point for point in segment.points}
            for row in reports:
                metrics = last_row(row.rows, row.last - row.first + 1)
                yield Reported(number, row.first, row.last, metrics, row.rows, row.elapsed, row.at)
                if row.last in points:
                    point = points[row.last]
                    yield self._kept(tuner, number, point, metrics, size if point is self.point else 0)

    def _kept(self, tuner: Tuner, number: int, point: Point, metrics: Mapping[str, Any], size: int) -> Kept:
        row = {"training_iteration": point.iteration, "time_total_s": point.elapsed, **metrics}
        facts, config = self.population.facts, tuner.checkpoints
        score, rank = point.score, float(point.iteration)
        if (tuner.metric, tuner.mode) != (facts.get("metric"), facts.get("mode")):
            score = _score(row, tuner.metric, tuner.mode)
        if config.checkpoint_score_attribute is not None:
            rank = _score(row, config.checkpoint_score_attribute, config.checkpoint_score_order)
        time = self._time(point, row, tuner.strategy.time_attr)
        return Kept(number, point.iteration, time, score, rank, point.elapsed, size=size)

    def _time(self, point: Point, row: Mapping[str, Any], time_attr: str) -> float:
        """Return the time of a point as a branch counts it; NaN where that was not reported."""
        if time_attr == self.population.facts.get("time_attr"):
            return point.time
        return _score(row, time_attr, "max")

    def _row(self) -> dict[str, Any]:
        """Return what was reported at the point."""
        row = self.reports[-1][-1]
        metrics = last_row(row.rows, row.last - row.first + 1)
        return {"training_iteration": self.point.iteration, "time_total_s": self.point.elapsed, **metrics}


def found(path: str | os.PathLike[str], start: Any) -> Origin:
    """Return the point ``start`` of the run in ``path``, once its checkpoint has been read and is whole.

    Raises:
        RunError: there is no run, or it is damaged.
        CheckpointError: the checkpoint is gone, or damaged.
        ConfigError: ``start`` is no point of the run.
    """
    folder = folder_of(path)
    record = Record.open(folder)
    try:
        population = record.population()
        if not population.members:
            raise RunError(f"{folder} holds the beginning of a run that never began: there is nothing to branch from")
        name = _named(record, population, start)
        try:
            point = population.point(name)
            _verify(record, name)
        except KeyError:
            raise _refused(record, population, name, "the report of that iteration carried no checkpoint") from None
        except CheckpointError as error:
            raise _refused(record, population, name, str(error)) from error
        return Origin(folder, population, point, _reports(record, population, point))
    finally:
        record.close()


def _named(record: Record, population: Population, start: Any) -> Name:
    """Return the name of the checkpoint that ``start`` means."""
    from ramet.results import Result, ResultGrid

    if start is None:
        try:
            best = ResultGrid(record.folder, population=population).get_best_result()
        except ConfigError as error:
            raise ConfigError(
                f"Tuner.branch({str(record.folder)!r}) begins from the best member's checkpoint, and there is none "
                f"({error}): say where, start=(segment, iteration)"
            ) from error
        return _of(best, record)
    if isinstance(start, Result):
        if not (os.path.exists(start.path) and os.path.samefile(start.path, record.folder)):
            raise ConfigError(f"Tuner.branch(start={start!r}) is of the run in {start.path}, not in {record.folder}")
        return _of(start, record)
    pair = tuple(start) if isinstance(start, (tuple, list)) else (start,)
    try:
        numbers = [operator.index(number) for number in pair if not isinstance(number, bool)]
    except TypeError:
        numbers = []
    if len(numbers) != len(pair) or len(pair) not in (1, 2):
        raise ConfigError(
            f"Tuner.branch(start={start!r}) must be the number of a segment, a pair (segment, iteration), a Result of "
            "the run, or None for the best member's"
        )
    segment = numbers[0]
    if not 0 <= segment < len(population.segments):
        raise ConfigError(
            f"Tuner.branch(start={start!r}): the run in {record.folder} has the segments 0 to "
            f"{len(population.segments) - 1}"
        )
    if len(numbers) == 2:
        return segment, numbers[1]
    there = _there(record).get(segment)
    if not there:
        raise _refused(record, population, (segment, -1), "nothing of it was kept")
    return segment, there[-1]


def _of(result: Any, record: Record) -> Name:
    point: Point | None = result._member.point
    if point is None:
        raise ConfigError(f"Tuner.branch(start={result!r}) has no checkpoint in {record.folder}: choose another")
    return point.checkpoint


def _there(record: Record) -> dict[int, list[int]]:
    """Return by segment the iterations whose checkpoints are there."""
    found: dict[int, list[int]] = {}
    for row in record.ledger.checkpoints():  # in order
        found.setdefault(row.segment, []).append(row.iteration)
    return found


def _refused(record: Record, population: Population, name: Name, why: str) -> CheckpointError:
    segment, iteration = name
    there = _there(record)
    if segment in there:
        told = f"of segment {segment} there are those of the iterations {_listed(there[segment])}"
    else:
        told = f"of segment {segment} there are none; the segments that have some are {_listed(sorted(there))}"
    info = population.segments[segment].info
    if population.segments[segment].member == FOREBEAR:
        told += f". It was segment {info.get('segment')} of the run {info.get('run')}: branch from that"
    which = f"the checkpoint {name}" if iteration >= 0 else f"a checkpoint of segment {segment}"
    return CheckpointError(f"Tuner.branch cannot begin from {which} of {record.folder}: {why}. Checkpoints: {told}")


def _listed(numbers: Sequence[int]) -> str:
    if not numbers:
        return "none"
    hidden = f"…, {len(numbers) - MOST} more, " if len(numbers) > MOST else ""
    return hidden + ", ".join(map(str, numbers[-MOST:]))


def _verify(record: Record, name: Name) -> None:
    """Read a checkpoint, all of it; its owner's pickles stay as they are."""
    stored = record.checkpoint(name)
    if stored.path is None:
        Checkpoint(stored=stored).pack(record.store, "")  # looks at all of it, and writes nothing
    else:
        record.verify(name)


def _reports(record: Record, population: Population, point: Point) -> list[list[ReportRow]]:
    """Return, by segment of the lineage, the reports that went into the model at ``point``."""
    chain = population.lineage(point.segment)
    ends = [child.start for child in chain[1:]] + [point.iteration]
    found = []
    for segment, end in zip(chain, ends, strict=True):
        rows = [row for row in record.ledger.reports([segment.number]) if row.last <= end]
        firsts = [segment.start + 1, *(row.last + 1 for row in rows)]
        if [*(row.first for row in rows), end + 1] != firsts:
            raise RunError(
                f"{record.ledger.path} is damaged: it lacks reports of segment {segment.number} up to iteration {end}; "
                f"ramet check {record.folder} tells more"
            )
        found.append(rows)
    return found


def _over(old: Mapping[str, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return ``old`` with what is ``given`` put over it, name by name in nested dicts."""
    whole: dict[Any, Any] = copied(old)
    for name, value in given.items():
        before, is_grid = whole.get(name), isinstance(value, dict) and set(value) == {"grid_search"}
        if isinstance(before, dict) and isinstance(value, dict) and not is_grid:
            value = _over(before, value)
        whole[name] = value
    return whole


def _holds_object(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_object, value))
    return isinstance(value, Shown)


def _score(row: Mapping[str, Any], name: str | None, mode: str | None) -> float:
    found = scored(row, name, mode, "", 0)
    return found if isinstance(found, float) else math.nan
