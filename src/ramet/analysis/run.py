"""`Run`: all that a run's folder tells, for those who want to know what happened in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.analysis.trace import Trace
from ramet.errors import ConfigError
from ramet.schedule import Schedule, Step
from ramet.view.values import finite
from ramet.whereabouts import folder_of

if TYPE_CHECKING:
    import pandas as pd

    from ramet.results import ResultGrid


@dataclass(frozen=True, slots=True)
class Best:
    """The member that is best: its last ``value`` of the metric, where it stands, and what is in force there."""

    member: int
    metric: str
    value: float
    segment: int
    iteration: int
    hparams: Mapping[str, Any]


class Run:
    """A run, read from its folder alone; also while it goes on, by another process, or after a crash.

    Nothing is written and nothing is unpickled. All answers are of the moment at which the run was opened, or last
    refreshed; what they need is read when it is first asked for. It belongs to the thread that opened it.

    Args:
        path: the run's folder, or its URL if it is kept in a store.

    Raises:
        RunError: there is no run in it, or it is damaged.

    >>> import tempfile, ramet
    >>> def train(config):
    ...     for step in range(1, 9):
    ...         ramet.report({"loss": config["lr"] / step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
    >>> grid = ramet.Tuner(
    ...     train,
    ...     param_space={"lr": ramet.loguniform(1e-3, 1)},
    ...     tune_config=ramet.TuneConfig(metric="loss", mode="min", num_samples=4, seed=1),
    ...     run_config=ramet.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0),
    ... ).fit()
    >>> run = ramet.open(grid.experiment_path)
    >>> run.members()[["member", "state", "iteration"]].head(2)
       member     state  iteration
    0       0  finished          8
    1       1  finished          8
    >>> run.best().iteration
    8
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = folder_of(path)
        self.trace = Trace(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {len(self.trace.places)} members, {self.state})"

    def _repr_html_(self) -> str | None:
        from ramet.notebook.tables import of_run, told

        return told(of_run, self)

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the run's file; a later question opens it again."""
        self.trace.close()

    def refresh(self) -> bool:
        """Take in what has happened since the run was opened or last refreshed; return whether anything has."""
        return self.trace.refresh()

    # ------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """The name of the run: of its folder."""
        return self.path.resolve().name

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was set up: metric, mode, time_attr, strategy, what is mutable and in which domains, stop rules."""
        return self.trace.facts

    @property
    def seed(self) -> int:
        """What all its draws are derived from."""
        return self.trace.seed

    @property
    def metric(self) -> str | None:
        """The metric that members are judged by."""
        return self.facts.get("metric")

    @property
    def mode(self) -> str | None:
        """``"max"`` or ``"min"``."""
        return self.facts.get("mode")

    @property
    def ended(self) -> str | None:
        """Why the run is over; None if it goes on, or was broken off."""
        return self.trace.ended

    @property
    def state(self) -> str:
        """``"under way"``, ``"ended"``, ``"stopped"`` or ``"broken off"``.

        It is stopped if it was told to end before its members had, as by Ctrl-C, and broken off if it never came to an
        end and no process works on it; both can be taken up again.
        """
        from ramet.store.lock import is_held

        if self.ended is not None:
            return "stopped" if any(place.state == "training" for place in self.trace.places) else "ended"
        return "under way" if is_held(self.path) else "broken off"

    @property
    def results(self) -> ResultGrid:
        """The same run as `Tuner.fit` returns it."""
        from ramet.results import ResultGrid

        return ResultGrid(self.path)

    # ------------------------------------------------------------------ tables

    def members(self) -> pd.DataFrame:
        """Return a row for each member.

        Columns: ``member``, ``state`` (training, finished, failed, stopped with the run), ``iteration`` of its model,
        ``segment`` that it trains, ``founder`` (the segment that its model descends from), ``value`` of the metric as
        last reported of the model that it holds (of a clone that has not reported yet: by its donor), ``rank`` by it (1
        is the best), numbers of ``reports``, ``segments``, ``decisions``, ``exploits`` (times that it became a clone)
        and ``failures``, the ``error`` or ``reason`` that ended it, and ``config/…`` in force.
        """
        from ramet.analysis import frames

        return frames.members(self.trace)

    def segments(self) -> pd.DataFrame:
        """Return a row for each segment: one member training under one assignment from one checkpoint.

        Columns: ``segment``, ``member`` (-1 where it was trained in the run that this one was branched from),
        ``parent`` (the segment whose checkpoint it began from, -1 for a founder),
        ``donor`` (the member that it was cloned from, -1 for none), ``founder`` (segment), ``why`` it was opened,
        ``start`` and ``last`` iteration, ``lived_on`` (up to which iteration its weights are in a model that is there
        now, -1 for none), ``score_start`` and ``score_last``, and ``config/…``.
        """
        from ramet.analysis import frames

        return frames.segments(self.trace)

    def reports(self, members: Sequence[int] | None = None, *, config: bool = True) -> pd.DataFrame:
        """Return a row for each report that counts: those that were made again after a failure are there once.

        Args:
            members: of whom; of all by default.
            config: whether the hyperparameters in force are among the columns, as ``config/…``.

        Columns: ``member``, ``segment``, ``training_iteration``, ``time_total_s`` (the model's training time, in
        seconds), ``timestamp`` (Unix time, in seconds), and the metrics. They are ordered by segment and iteration.

        Raises:
            RunError: there is no such member, or the reports are damaged.
        """
        import numpy as np

        from ramet.analysis import frames

        wanted = None
        if members is not None:
            asked = [self.trace.check_member(member, f"reports(members={list(members)})") for member in members]
            wanted = np.flatnonzero(np.isin(self.trace.segments.member, asked)).tolist()
        return frames.reports(self.trace, wanted, config)

    def decisions(self) -> pd.DataFrame:
        """Return a row for each decision.

        Columns: ``event`` (its number in the log), ``member``, ``segment`` and ``iteration`` of the checkpoint that it
        was decided at, ``time`` on the run's ``time_attr``, ``score`` there, ``verdict``, ``reason``, the segment that
        was ``opened`` (-1 for none), its ``parent`` and ``donor``, ``donor_score``, and ``config/…`` in force from then
        on.
        """
        from ramet.analysis import frames

        return frames.decisions(self.trace)

    def checkpoints(self) -> pd.DataFrame:
        """Return a row for each checkpoint that was ever kept.

        Columns: ``segment``, ``iteration``, ``member``, ``time``, ``score``, ``time_total_s``, ``size`` in bytes,
        ``pinned``, whether it is still ``there``, and then its ``kind`` (``pickle``, ``files``: inside the ledger,
        ``directory``) and ``path`` below ``checkpoints/``.
        """
        from ramet.analysis import frames

        return frames.checkpoints(self.trace)

    # ------------------------------------------------------------------ how a model came to be

    def best(self, metric: str | None = None, mode: str | None = None) -> Best:
        """Return who is best, by the last report of the model that each member holds; a fresh clone has its donor's.

        Args:
            metric: name of a reported metric, by default what the run is judged by.
            mode: ``"max"`` or ``"min"``, by default as in the run.

        Raises:
            ConfigError: nobody has a finite value of it, or the run has no metric and none is named.
        """
        from ramet.analysis import frames

        if mode not in (None, "min", "max"):
            raise ConfigError(f"best(mode={mode!r}) is neither 'min' nor 'max'")
        metric, mode = metric or self.metric, mode or self.mode
        if metric is None or mode is None:
            raise ConfigError(
                f"nobody is best, for the run has metric={self.metric!r} and mode={self.mode!r}, and asked was for "
                f"metric={metric!r} and mode={mode!r}: name both, or the member that is meant"
            )
        trace, sign = self.trace, -1.0 if mode == "min" else 1.0
        told = frames.standings(trace) if metric == self.metric else []
        if metric == self.metric:
            values = [value for value, _ in told]
        else:
            values = [trace.metrics(place.number).get(metric) for place in trace.places]
        standing = [(sign * v, -n) for n, v in enumerate(values) if finite(v)]
        if metric == self.metric and mode == self.mode:  # of equals, the one that trained there
            ranks = {rank: number for number, (_, rank) in enumerate(told) if rank}
            standing = [(sign * values[ranks[1]], -ranks[1])] if standing else []
        if not standing:
            known = sorted({name for place in trace.places for name in trace.metrics(place.number)})
            raise ConfigError(f"best(metric={metric!r}): no member has a finite value of it; reported were {known}")
        number = -max(standing)[1]
        place = trace.places[number]
        return Best(
            member=number,
            metric=metric,
            value=float(values[number]),
            segment=place.segment,
            iteration=int(trace.ends[place.segment]),
            hparams=dict(trace.segments.hparams[place.segment]),
        )

    def lineage(self, member: int | None = None) -> list[Step]:
        """Return the segments that made the model of ``member`` (of the best by default), its founder first, each with
        the iterations that went into it.

        Raises:
            RunError: there is no such member.
        """
        number = self.best().member if member is None else self.trace.check_member(member, f"lineage({member!r})")
        found, place = self.trace.segments, self.trace.places[number]
        if place.segment < 0:
            return []
        return [
            Step(int(found.start[at]) + 1, end, found.hparams[at], found.maker[at], at)
            for at, end in self.trace.lineage(place.segment)
        ]

    def schedule(self, member: int | None = None) -> Schedule:
        """Return the hyperparameters in force, by iteration, along the path that made the model of ``member`` (of the
        best by default).

        Raises:
            RunError: there is no such member.
        """
        return Schedule([step for step in self.lineage(member) if step.last >= step.first])

    def founders(self) -> pd.DataFrame:
        """Return how the founders' families lived on: a row for each of at most 1000 moments.

        Columns: ``event`` (the number in the log), ``iteration`` (the furthest that any member had been opened at),
        ``members``, ``surviving`` founders, their ``effective`` number (the exponential of the entropy of the shares),
        and then for each founder's segment how many members descend from it.
        """
        import pandas as pd

        from ramet.analysis.descent import descent

        found = descent(self.trace)
        told = {
            "event": found.moments,
            "iteration": found.time,
            "members": found.members,
            "surviving": found.surviving,
            "effective": found.effective,
        }
        shares = {str(name): found.shares[:, at] for at, name in enumerate(found.founders.tolist())}
        return pd.DataFrame(told | shares)

    def replacements(self) -> pd.DataFrame:
        """Return who replaced whom: how often the member of the row gave up its weights for those of the column's."""
        import pandas as pd

        from ramet.analysis.descent import replacements

        frame = pd.DataFrame(replacements(self.trace))
        return frame.rename_axis(index="member", columns="donor")

    def slots(self) -> pd.DataFrame:
        """Return which slot did what when: a row for each checkpoint, for the interval that ended with it.

        Columns: ``slot``, ``member``, ``segment``, ``iteration`` of the checkpoint, ``begin`` and ``end`` (Unix time in
        seconds; in a simulation virtual time from 0), and the seconds of it that went into ``training``, ``restoring``
        (reading the checkpoint to begin from), ``saving``, and ``waiting`` for an answer. It has no rows for runs of
        earlier versions, which did not tell.
        """
        import pandas as pd

        from ramet.analysis.times import stretches

        return pd.DataFrame(stretches(self.trace)._asdict()).drop(columns=["reports", "row"])

    def time_lost(self) -> pd.DataFrame:
        """Return where each slot's time went, in seconds: a row for each slot, and one for all of them.

        Columns: ``training``, ``restoring``, ``saving``, ``waiting``; ``idle`` is what is left of the time between the
        slot's first moment and the last of all, ``use`` the share of it that was training.
        """
        found = self.slots()
        parts = ["training", "restoring", "saving", "waiting"]
        table = found.groupby("slot")[parts].sum()
        there = found["end"].max() - found.groupby("slot")["begin"].min()
        table["idle"] = (there - table.sum(axis=1)).clip(lower=0.0)
        if len(table):
            table.loc["all"] = table.sum()
        table["use"] = table["training"] / table.sum(axis=1)
        return table

    def stragglers(self, by: str = "member") -> pd.DataFrame:
        """Return who came last, what the others stood still for it, and whether the member or the slot is slow.

        Args:
            by: ``"member"``, ``"slot"`` or ``"round"``: what has a row each.

        Columns: ``last``, the rounds that it was the last to come in, and their ``cost``, the seconds that the others
        stood still for it; the seconds of its ``work``, its ``reports``, their ``rate`` in a second of work, and that
        ``relative`` to the median; with which ``slot`` (or ``member``) most of the cost came about, -1 for none; and
        the ``cause`` of that, see `ramet.analysis.stragglers.Causes.cause`. Of a member, too: the ``rounds`` that it
        was in, the seconds that it ``waited`` for others, and that it was ``queued``: without a slot. Of a round: when
        it ``began`` and ``ended``, how many ``members`` it had, who was the ``last``, on which ``slot``, and the
        seconds of all of them at ``work``, ``waited`` and ``queued``. Asynchronous runs have no rounds: there
        ``waited`` is for answers.

        Raises:
            ConfigError: ``by`` is none of these.
        """
        import pandas as pd

        from ramet.analysis.stragglers import COLUMNS, table
        from ramet.analysis.waits import waits

        if by not in COLUMNS:
            raise ConfigError(f"stragglers(by={by!r}) must be one of {list(COLUMNS)}")
        return pd.DataFrame(table(waits(self.trace), by), columns=COLUMNS[by])

    # ------------------------------------------------------------------ for other programs

    def export(
        self,
        folder: str | os.PathLike[str],
        format: str = "csv",
        tables: Sequence[str] | None = None,
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write the tables into ``folder``, a file each, and ``export.json``, which tells what they are; return them.

        Args:
            folder: is made where it is not there.
            format: ``"csv"``, ``"parquet"`` (needs pyarrow), or ``"json"``, a list of rows.
            tables: names of those that are wanted; all by default: those of the methods above, ``lineage`` of every
                member, and ``schedule`` of the best.
            overwrite: whether files of the same names may be replaced. Each is replaced as a whole.

        Raises:
            ConfigError: there is no such format or table, files are in the way, or pyarrow is not installed.
            RunError: the run is damaged, or ``folder`` cannot be written.
        """
        from ramet.analysis.export import export

        return export(self, folder, format, tables, overwrite=overwrite)


def open(path: str | os.PathLike[str]) -> Run:
    """Open the run in the folder ``path`` to look at it; see `Run`.

    Raises:
        RunError: there is no run in it, or it is damaged.

    >>> ramet.open("nowhere")
    Traceback (most recent call last):
    ramet.errors.RunError: nowhere holds no run: there is no run.db in it
    """
    return Run(path)
