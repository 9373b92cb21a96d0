"""What came of a run, read from its folder: `ResultGrid`, one `Result` for each member."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.analysis.run import Run
from ramet.aside import Aside
from ramet.checkpoint import Checkpoint
from ramet.core.blocks import as_dicts, decoded_seconds
from ramet.core.population import FOREBEAR, Member, Population, Segment
from ramet.errors import ConfigError, MemberError, RametError, RunError
from ramet.framing import framed
from ramet.fronts import asked, front_of, volume_of
from ramet.record import Record
from ramet.schedule import Schedule, Step
from ramet.space import flatten
from ramet.whereabouts import folder_of

if TYPE_CHECKING:
    import pandas as pd

AUTOMATIC = (
    *("training_iteration", "time_total_s", "time_this_iter_s", "timestamp"),
    *("trial_id", "member", "segment", "parent"),
)
"""What every row has besides the reported metrics and the configuration."""

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")


class ResultGrid(Sequence["Result"]):
    """The results of a run, by member; read from its folder, also by another process or after a crash.

    Args:
        path: the run's folder, or its URL if it is kept in a store.
        metric, mode: what `get_best_result` goes by unless it is told otherwise; as recorded by default.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        metric: str | None = None,
        mode: str | None = None,
        *,
        aside: Aside | None = None,
        population: Population | None = None,
    ) -> None:
        self._path = folder_of(path)
        self._aside = aside
        with self._record() as record:
            # Who made the run knows already what all its events lead to.
            self.population: Population = record.population() if population is None else population
            self._seen = record.ledger.last
            facts = self.population.facts
            self._metric, self._mode = metric or facts.get("metric"), mode or facts.get("mode")
            self._results = [Result(self, member) for member in self.population.members]

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: Any) -> Any:
        return self._results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __repr__(self) -> str:
        return f"ResultGrid({self.experiment_path!r}, {len(self)} members, {self.num_errors} errors)"

    def _repr_html_(self) -> str | None:
        from ramet.notebook.tables import of_grid, told

        return told(of_grid, self)

    @property
    def experiment_path(self) -> str:
        """The run's folder."""
        return str(self._path)

    @property
    def run(self) -> Run:
        """The same run to look into: tables of all that happened, families, where time went."""
        return Run(self._path)

    @property
    def errors(self) -> list[MemberError]:
        """The errors of the members that ended in one."""
        return [result.error for result in self._results if result.error is not None]

    @property
    def num_errors(self) -> int:
        """How many members ended in an error."""
        return len(self.errors)

    @property
    def num_terminated(self) -> int:
        """How many members ended without an error."""
        return len(self) - self.num_errors

    def get_best_result(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last", filter_nan_and_inf: bool = True
    ) -> Result:
        """Return the result with the best metric.

        Args:
            metric: what is compared, by default what the run was scored by.
            mode: whether ``"max"`` or ``"min"`` is best, by default as in the run.
            scope: which reports count: the ``"last"``, the best of ``"all"``, their ``"avg"``, or that of the last 5 or
                10 (``"last-5-avg"``, ``"last-10-avg"``). Only reports of the model that came out count, along its
                lineage, so that the weights of the result did reach its score.
            filter_nan_and_inf: pass over members whose value is not finite.

        Raises:
            ConfigError: the metric is unknown, or no member has a value.

        Differs from Ray Tune in that ``scope="all"`` does not see rows of weights that were thrown away.
        """
        metric, mode = metric or self._metric, mode or self._mode
        if not isinstance(metric, (str, type(None))):
            raise ConfigError(f"get_best_result(metric={metric!r}) must be the name of a reported metric, a str")
        if mode not in ("min", "max", None):
            raise ConfigError(f"get_best_result(mode={mode!r}) is neither 'min' nor 'max'")
        if metric is None or mode is None:
            raise ConfigError(
                f"get_best_result(metric={metric!r}, mode={mode!r}) needs both: the run recorded "
                f"metric={self._metric!r} and mode={self._mode!r}"
            )
        if scope not in SCOPES:
            raise ConfigError(f"get_best_result(scope={scope!r}) must be one of {list(SCOPES)}")
        best: tuple[float, Result] | None = None
        seen: set[str] = set()
        for result in self._results:
            seen.update(result._member.metrics)
            value = result.value(metric, mode, scope)
            if value is None or (filter_nan_and_inf and not math.isfinite(value)):
                continue
            score = value if mode == "max" else -value
            if best is None or score > best[0] or math.isnan(best[0]):
                best = (score, result)
        if best is None:
            known = (
                "it was reported, but nowhere as a finite number" if metric in seen else f"reported were {sorted(seen)}"
            )
            raise ConfigError(
                f"get_best_result(metric={metric!r}): no member has such a value; {known}"
                + (f", and {self.num_errors} members failed, see .errors" if self.num_errors else "")
            )
        return best[1]

    def pareto_front(self, metrics: Mapping[str, str] | None = None) -> list[Result]:
        """Return the results that no other one beats in all metrics at once, by their last reports.

        Args:
            metrics: reported metric -> ``"max"`` or ``"min"``; by default the objectives of the run, which strategies
                such as `MultiObjectivePBT` have.

        They come in the order of the first metric, the best first. Members that lack one of the metrics, or whose
        value is not finite, are passed over; equal ones are all there.

        Raises:
            ConfigError: metrics were not given and the run has none, or they are no such dict.
        """
        return front_of(self._results, asked("pareto_front", metrics, self.population.facts.get("objectives")))

    def hypervolume(self, reference: Mapping[str, float], metrics: Mapping[str, str] | None = None) -> float:
        """Return how much room the results dominate, by their last reports: one number for how good a front is.

        Args:
            reference: metric -> a value that is just not good enough, in the metric's own unit: the room is between
                it and the results, as a product of all units. What is no better in some metric adds nothing. Compare
                runs under the same reference alone.
            metrics: as in `pareto_front`.

        Raises:
            ConfigError: the metrics are none, or ``reference`` has not one number for each.
        """
        known = asked("hypervolume", metrics, self.population.facts.get("objectives"))
        return volume_of(self._results, known, reference)

    def stragglers(self, by: str = "member") -> pd.DataFrame:
        """Return who came last and what the others stood still for it, see `ramet.analysis.run.Run.stragglers`."""
        return self.run.stragglers(by)

    def get_dataframe(self, filter_metric: str | None = None, filter_mode: str | None = None) -> pd.DataFrame:
        """Return a row for each member: its last report, or with a filter the report that was best by it."""
        if filter_metric is not None and filter_mode not in ("min", "max"):
            raise ConfigError(
                f"get_dataframe(filter_mode={filter_mode!r}) must be 'min' or 'max' to go with filter_metric="
            )
        rows: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        for result in self._results:
            if filter_metric is None:
                metrics = dict(result.metrics or {})
                metrics.pop("config", None)
                rows.append({**metrics, **{f"config/{k}": v for k, v in flatten(result.config).items()}})
                continue
            frame = result.metrics_dataframe
            seen.update(frame.columns)
            if filter_metric not in frame:
                continue
            numbers = frame[filter_metric].map(_number).astype(float).to_numpy()
            if not np.isnan(numbers).all():
                best = np.nanargmax(numbers) if filter_mode == "max" else np.nanargmin(numbers)
                rows.append({str(name): value for name, value in frame.iloc[int(best)].items()})
        if filter_metric is not None and filter_metric not in seen:
            raise ConfigError(
                f"get_dataframe(filter_metric={filter_metric!r}) is in no report; they have {sorted(seen)}"
            )
        return framed(rows)

    def rows(self, segments: Sequence[tuple[Segment, int]]) -> list[dict[str, Any]]:
        """Return the reports of ``segments``, of each up to the given iteration, with what was in force."""
        found: list[dict[str, Any]] = []
        with self._record() as record:
            for segment, end in segments:
                config = {f"config/{name}": value for name, value in flatten(segment.hparams).items()}
                maker = _maker(segment)
                before = 0.0 if segment.origin is None else segment.origin.elapsed
                at = segment.start
                for report in record.ledger.reports([segment.number]):
                    if report.first != at + 1:
                        break
                    at = report.last
                    elapsed = decoded_seconds(report.elapsed)
                    for offset, row in enumerate(as_dicts(report.rows)):
                        iteration = report.first + offset
                        if iteration > end:
                            break
                        row.update(
                            training_iteration=iteration,
                            time_total_s=round(elapsed[offset], 6),
                            time_this_iter_s=round(elapsed[offset] - before, 6),
                            timestamp=report.at - (elapsed[-1] - elapsed[offset]),
                            trial_id=f"{maker:05d}",
                            member=maker,
                            segment=segment.number,
                            parent=segment.parent,
                        )
                        row.update(config)
                        before = elapsed[offset]
                        found.append(row)
                # Of a run that goes on, a member may have been set back since it was read.
                if at < end and record.ledger.last == self._seen:
                    raise RunError(f"{record.ledger.path} is damaged: it lacks reports of segment {segment.number}")
        return found

    def checkpoint(self, name: tuple[int, int]) -> Checkpoint:
        """Return the checkpoint (segment, iteration).

        Raises:
            CheckpointError: it was not kept.
        """
        with self._record() as record:
            return Checkpoint(stored=record.checkpoint(name))

    def kept(self) -> set[tuple[int, int]]:
        """Return the names of the checkpoints that are there."""
        with self._record() as record:
            return {(row.segment, row.iteration) for row in record.ledger.checkpoints()}

    @contextlib.contextmanager
    def _record(self) -> Iterator[Record]:
        """Open the run to read. What cannot be told together, as events that contradict each other, is damage."""
        record = Record.open(self._path, self._aside)
        try:
            yield record
        except RametError:
            raise
        except Exception as error:
            raise RunError(
                f"{record.ledger.path} is damaged: what it holds is no story of a run ({error!r})"
            ) from error
        finally:
            record.close()


class Result:
    """What came of one member: the model that it holds at the end, and how that came to be."""

    def __init__(self, grid: ResultGrid, member: Member) -> None:
        self._grid, self._member = grid, member
        self._segment = grid.population.segments[member.segment]

    def __repr__(self) -> str:
        metric, reported = self._grid._metric, {} if self._is_fresh else self._member.metrics
        told = f", {metric}={reported[metric]}" if metric is not None and metric in reported else ""
        return f"Result(member {self.member}, {self.state}, iteration {self.iteration}{told})"

    def _repr_html_(self) -> str | None:
        from ramet.notebook.tables import of_result, told

        return told(of_result, self)

    @property
    def member(self) -> int:
        """The member's number."""
        return self._member.number

    @property
    def population(self) -> Population:
        """The whole population that it belongs to, as the run's events tell of it."""
        return self._grid.population

    @property
    def state(self) -> str:
        """``"finished"``, ``"failed"``, or ``"training"`` if the run ended before the member did."""
        return self._member.state

    @property
    def iteration(self) -> int:
        """The model's last reported iteration."""
        return self._segment.last

    @property
    def path(self) -> str:
        """The run's folder."""
        return self._grid.experiment_path

    @property
    def error(self) -> MemberError | None:
        """What ended the member, None if nothing did."""
        return MemberError(self._member.error) if self.state == "failed" else None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration in force at the end. What made the model is the `schedule`."""
        return dict(self._segment.hparams)

    @property
    def metrics(self) -> dict[str, Any] | None:
        """The member's last report, with the automatic metrics; None if it never reported."""
        row = self._last_row()
        if row is None:
            return None
        reported = {} if self._is_fresh else self._member.metrics
        return {**reported, **{k: v for k, v in row.items() if not k.startswith("config/")}, "config": self.config}

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The latest checkpoint of the model; None if there is none."""
        point = self._member.point
        return None if point is None else self._grid.checkpoint(point.checkpoint)

    @property
    def best_checkpoints(self) -> list[tuple[Checkpoint, dict[str, Any]]]:
        """The member's checkpoints that were kept, each with its report, oldest first."""
        population, kept = self._grid.population, self._grid.kept()
        found = []
        for segment, point in population.history(self.member):
            if point.checkpoint in kept:
                rows = self._grid.rows([(segment, point.iteration)])
                found.append((self._grid.checkpoint(point.checkpoint), rows[-1] if rows else {}))
        return found

    @property
    def lineage(self) -> list[Step]:
        """The segments that made the model, its founder first, each with the iterations that went into it."""
        steps = []
        for segment, end in self._path_to_here():
            steps.append(Step(segment.start + 1, end, segment.hparams, _maker(segment), segment.number))
        return steps

    @property
    def schedule(self) -> Schedule:
        """The hyperparameters in force, by iteration, along the path that made the model."""
        return Schedule([step for step in self.lineage if step.last >= step.first])

    @property
    def metrics_dataframe(self) -> pd.DataFrame:
        """The member's own story: every report that it made, in order, with what was in force.

        Columns besides the metrics: ``training_iteration`` (which goes back or forth where the member became a clone),
        ``segment`` and ``parent`` (the segment that it was cloned from), times, and ``config/…``.
        """
        own = [(s, s.last) for s in self._grid.population.segments if s.member == self.member]
        return self._framed(self._grid.rows(own))

    @property
    def lineage_dataframe(self) -> pd.DataFrame:
        """The training curve of the model: a row for each iteration along its lineage, none of weights thrown away."""
        return self._framed(self._grid.rows(self._path_to_here()))

    def _framed(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        """Return ``rows`` as a frame, which has the columns that every frame has even if there are none."""
        import pandas as pd

        columns = [*AUTOMATIC, *(f"config/{name}" for name in flatten(self._segment.hparams))]
        return framed(rows) if rows else pd.DataFrame(columns=columns)

    def value(self, metric: str, mode: str, scope: str) -> float | None:
        """Return the value of ``metric`` under ``scope`` (see `ResultGrid.get_best_result`), None without one."""
        if scope == "last":
            if not self._is_fresh and metric in self._member.metrics:
                return _number(self._member.metrics[metric])
            return _number((self._last_row() or {}).get(metric))
        reported = (_number(row.get(metric)) for row in self._grid.rows(self._path_to_here()))
        values = [value for value in reported if value is not None and not math.isnan(value)]
        if not values:
            return None
        if scope == "all":
            return max(values) if mode == "max" else min(values)
        if scope != "avg":
            values = values[-5:] if scope == "last-5-avg" else values[-10:]
        return math.fsum(values) / len(values)

    @property
    def _is_fresh(self) -> bool:
        """Whether it is a clone that has not reported yet: then its donor's report is the last one of its weights."""
        return self._segment.parent is not None and self._segment.last == self._segment.start

    def _last_row(self) -> dict[str, Any] | None:
        for segment, end in reversed(self._path_to_here()):
            if end > segment.start:
                rows = self._grid.rows([(segment, end)])
                return rows[-1] if rows else None
        return None

    def _path_to_here(self) -> list[tuple[Segment, int]]:
        chain = self._grid.population.lineage(self._segment.number)
        return [(part, child.start) for part, child in itertools.pairwise(chain)] + [(chain[-1], chain[-1].last)]


def _maker(segment: Segment) -> int:
    """Return the member that trained it: of what a branch began from, a member of the run that it was trained in."""
    given = segment.info.get("member") if segment.member == FOREBEAR else None
    return given if isinstance(given, int) else segment.member


def _number(value: Any) -> float | None:
    """Return ``value`` as a float, None if it is no number; an integer beyond all floats is infinite."""
    if not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
