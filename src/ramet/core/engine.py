"""From what workers hand over to what they do next, without touching either.

Three steps, each a pure function of the population and its argument:

* `Engine.record`: a handover -> the events that it means;
* `Engine.decide`: the population -> the events that the strategy decides;
* `Engine.plan`: what should run against what does -> commands.

The caller commits the events of the first two before it sends a command of the third. A resumed run is the same loop
with nothing running.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ramet.core.events import Began, Decided, Ended, Event, Failed, Finished, Kept, Noted, Opened, Reported
from ramet.core.messages import Block, Handover, Lease
from ramet.core.population import Member, Population
from ramet.core.scene import Decision, Scene
from ramet.core.stopping import StopRules, Threshold
from ramet.errors import StrategyError
from ramet.space import Space


class Strategy(Protocol):
    """What the engine needs of a strategy (see `ramet.strategy.base.Strategy`)."""

    time_attr: str
    interval: float
    synch: bool

    @property
    def decides(self) -> bool: ...  # noqa: D102
    def due(self, member: Member) -> float: ...  # noqa: D102
    def decide(self, scene: Scene) -> Sequence[Decision]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Terms:
    """How scores are read and failures are counted.

    Args:
        metric, mode: the reported score, and whether "max" or "min" is good; None where nothing is scored.
        rank_attribute, rank_order: the metric that retention orders checkpoints by; None keeps the newest.
        max_failures: failures that a member may have and still be started again; -1 for any number.
        fail_fast: end the run at the first failure.
    """

    metric: str | None = None
    mode: str | None = None
    rank_attribute: str | None = None
    rank_order: str = "max"
    max_failures: int = 0
    fail_fast: bool = False


@dataclass(slots=True)
class Running:
    """A stretch of work under way: which segment of which member, in which slot, and whether it waits for an answer.

    ``until`` is the decision point that it was last leased to.
    """

    work: int
    segment: int
    member: int
    slot: int
    waiting: bool = False
    until: float = -math.inf


@dataclass(frozen=True, slots=True)
class Start:
    """Begin ``member``'s current segment, from its last checkpoint, in ``slot``."""

    member: int
    slot: int


@dataclass(frozen=True, slots=True)
class Proceed:
    """Answer ``work``, which waits: go on, under this lease."""

    work: int
    lease: Lease


@dataclass(frozen=True, slots=True)
class Stop:
    """End ``work``: its place, or its segment, belongs to something else now."""

    work: int


Command = Start | Proceed | Stop

AUTOMATIC = (
    "training_iteration",
    "time_total_s",
    "time_this_iter_s",
    "compute_iterations",
    "timestamp",
    "trial_id",
    "done",
)
"""Metrics that every row has without being reported."""


class Engine:
    """One run's decisions. Holds the population and the terms; does no I/O, reads no clock, keeps nothing else."""

    def __init__(
        self, population: Population, strategy: Strategy, space: Space, rules: StopRules, terms: Terms
    ) -> None:
        self.population, self.strategy, self.space = population, strategy, space
        self.rules, self.terms = rules, terms
        self._out: list[Event] = []
        # Who may be ready: those that have handed over a checkpoint since they last decided. A cache of `_is_ready`.
        self._fresh: set[int] = {member.number for member in population.members}

    # ------------------------------------------------------------------ record

    def begin(self, seed: int, founders: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[Event]:
        """Set up the run with one member for each founder's configuration."""
        self._do(Began(seed, len(founders), facts))
        for number, hparams in enumerate(founders):
            self._do(Opened(number, number, None, 0, hparams, {"why": "founder"}))
        return self._taken()

    def record(self, segment: int, handover: Handover) -> list[Event]:
        """Return what ``handover``, about work on ``segment``, means. Nothing, if the segment is over."""
        population = self.population
        member = population.members[population.segments[segment].member]
        if population.ended is not None or member.segment != segment or not member.live:
            return []
        for block in handover.blocks:
            if block.first != population.segments[segment].last + 1:
                return self._taken()  # rows that are here already, or after a gap: a repeated or torn message
            self._do(Reported(segment, block.first, block.last, block.metrics, block.rows, block.elapsed, block.at))
            self._check_stop_metrics(member)
            if block.stored is not None and not self._keep(segment, member, block):
                return self._taken()
            if self._run_rules(segment, member, block):
                return self._taken()
        if handover.overdue and member.point is None and self.strategy.decides:
            self._note_overdue(member)
        if handover.error is not None:
            self._fail(segment, handover.error, retry=handover.fault != "report")
        elif handover.ended is not None:
            self._finish(segment, member, handover.ended)
        return self._taken()

    def end(self, reason: str) -> list[Event]:
        """End the run; members that still train stay as they are, so that it can be taken up again."""
        if self.population.ended is None:
            self._do(Ended(reason))
        return self._taken()

    def _keep(self, segment: int, member: Member, block: Block) -> bool:
        terms = self.terms
        automatic = {
            "training_iteration": block.last,
            "compute_iterations": member.compute,
            "time_total_s": block.clock,
        }
        metrics = {**automatic, **block.metrics}
        score = self._signed(metrics, terms.metric, terms.mode, f"TuneConfig(metric={terms.metric!r})", member)
        rank: float | str = float(member.compute)  # without an attribute to go by, the newest are kept
        if terms.rank_attribute is not None:
            who = f"CheckpointConfig(checkpoint_score_attribute={terms.rank_attribute!r})"
            rank = self._signed(metrics, terms.rank_attribute, terms.rank_order, who, member)
        for wrong in (score, rank):
            if isinstance(wrong, str):
                self._fail(segment, wrong, retry=False)
                return False
        assert isinstance(score, float)
        assert isinstance(rank, float)
        time = block.time if block.time is not None else float(block.last)
        self._do(Kept(segment, block.last, time, score, rank, block.clock, block.stopping))
        self._fresh.add(member.number)
        return True

    def _signed(
        self, metrics: Mapping[str, Any], name: str | None, mode: str | None, who: str, member: Member
    ) -> float | str:
        """Return the value signed so that larger is better, or the sentence that says why there is none."""
        if name is None:
            return math.nan
        if name not in metrics:
            return (
                f"{who} is not among the reported metrics {sorted(set(metrics) - set(AUTOMATIC))} of member "
                f"{member.number}: report it with every checkpoint, or name another one"
            )
        value = metrics[name]
        if not isinstance(value, (int, float)):
            return (
                f"{who} was reported as {value!r}, a {type(value).__name__}, by member {member.number}: report a number"
            )
        try:
            signed = -float(value) if mode == "min" else float(value)
        except OverflowError:  # an integer beyond all floats
            signed = math.inf if (value > 0) == (mode != "min") else -math.inf
        # An infinitely good score is a division by zero somewhere, not a model to clone.
        return math.nan if math.isnan(signed) or signed == math.inf else signed

    def _run_rules(self, segment: int, member: Member, block: Block) -> bool:
        """Ask the stoppers that judge the whole run; their leases are one report long, so a block is one row."""
        if not self.rules.run:
            return False
        data = json.loads(block.rows)
        for offset, values in enumerate(data["rows"]):
            row = dict(zip(data["columns"], values, strict=True))
            row.update(
                training_iteration=block.first + offset,
                compute_iterations=member.compute - (block.last - block.first) + offset,
                trial_id=f"{member.number:05d}",
                config=self.population.hparams(member.number),
            )
            row.setdefault("time_total_s", block.clock)
            for stopper in self.rules.run:
                name = type(stopper).__name__
                try:
                    one, everyone = stopper(row["trial_id"], row), stopper.stop_all()
                except Exception as error:
                    raise StrategyError(
                        f"RunConfig(stop={name}(…)) raised {type(error).__name__}: {error} when it was asked about "
                        f"report {row['training_iteration']} of member {member.number}, {sorted(data['columns'])}"
                    ) from error
                if one and member.live:
                    self._do(Finished(segment, f"{name} said so"))
                if everyone:
                    self._do(Ended(f"{name} ended the run"))
        return not member.live or self.population.ended is not None

    def _finish(self, segment: int, member: Member, reason: str) -> None:
        metric = self.terms.metric
        if metric is not None and metric not in member.metrics and metric not in AUTOMATIC and member.compute:
            told = self._signed(member.metrics, metric, self.terms.mode, f"TuneConfig(metric={metric!r})", member)
            self._fail(segment, str(told), retry=False)
        else:
            self._do(Finished(segment, reason))

    def _fail(self, segment: int, error: str, *, retry: bool) -> None:
        member = self.population.members[self.population.segments[segment].member]
        limit = self.terms.max_failures
        again = retry and not self.terms.fail_fast and (limit < 0 or member.failures < limit)
        self._do(Failed(segment, error, final=not again))
        if self.terms.fail_fast:
            self._do(Ended(f"fail_fast: member {member.number} failed"))

    def _check_stop_metrics(self, member: Member) -> None:
        for rule in self.rules.member:
            if not isinstance(rule, Threshold) or rule.metric in AUTOMATIC or rule.metric in member.metrics:
                continue
            kind = f"stop:{rule.metric}"
            if kind not in self.population.noted:
                self._do(
                    Noted(
                        kind,
                        f"RunConfig(stop={{{rule.metric!r}: {rule.value}}}) cannot stop member {member.number}, which "
                        f"has reported {sorted(member.metrics)} so far: report it or change stop=",
                    )
                )

    def _note_overdue(self, member: Member) -> None:
        if "no-checkpoint" not in self.population.noted:
            self._do(
                Noted(
                    "no-checkpoint",
                    f"member {member.number} has passed two perturbation intervals (2 x {self.strategy.interval:g} on "
                    f"{self.strategy.time_attr}) without a checkpoint, so it can neither clone nor be cloned: pass "
                    "checkpoint= to report() at least once in an interval, or ask should_checkpoint()",
                )
            )

    # ------------------------------------------------------------------ decide

    def ready(self) -> set[int]:
        """The live members that have handed over a checkpoint at or past their decision point."""
        members = self.population.members
        self._fresh = {number for number in self._fresh if self._is_ready(members[number])}
        return set(self._fresh)

    def _is_ready(self, member: Member) -> bool:
        point = member.point
        return (
            member.live
            and point is not None
            and point is not member.decided
            and point.segment == member.segment
            and point.time >= self.strategy.due(member)
        )

    def decide(self) -> list[Event]:
        """Return what the strategy decides now: for every live member at once when synchronous, else as they come."""
        population = self.population
        if not self.strategy.decides or population.ended is not None:
            return []
        ready = self.ready()
        if not ready:
            return []
        if self.strategy.synch:
            if len(ready) == population.training:
                self._decide(sorted(ready))
        else:
            for member in sorted(ready):
                self._decide([member])
        return self._taken()

    def _decide(self, ready: list[int]) -> None:
        population = self.population
        scene = Scene.of(population, self.space, ready)
        decisions = {decision.member: decision for decision in self.strategy.decide(scene)}
        if sorted(decisions) != ready:
            raise StrategyError(
                f"{type(self.strategy).__name__}.decide returned decisions for members {sorted(decisions)}, asked for "
                f"{ready}: it owes exactly one to each"
            )
        for member in ready:
            decision = decisions[member]
            point = population.members[member].point
            assert point is not None
            self._do(Decided(member, point.segment, point.iteration, decision.verdict, decision.reason))
            if decision.start is None:
                continue
            if decision.start not in population.present:
                raise StrategyError(
                    f"{type(self.strategy).__name__} starts member {member} from checkpoint {decision.start}, which is "
                    "not there: start from a point of the scene"
                )
            hparams = population.hparams(member) if decision.hparams is None else decision.hparams
            info = {"why": decision.verdict, **decision.info}
            self._do(Opened(len(population.segments), member, *decision.start, hparams, info))

    # ------------------------------------------------------------------ plan

    def lease(self, member: int) -> Lease:
        """Return the leave to train that ``member`` has now."""
        strategy = self.strategy
        until = strategy.due(self.population.members[member]) if strategy.decides else math.inf
        return Lease(until, strategy.interval, each_report=bool(self.rules.run))

    def plan(self, running: Iterable[Running], free: Sequence[int]) -> list[Command]:
        """Compare what should run with what does.

        Args:
            running: the work under way.
            free: the slots without work.

        Slots go to the member that has worked least. One that waits at a synchronous barrier, or is ahead of another
        that has no slot, gives its own up, but only where it stands at a checkpoint.
        """
        population, commands = self.population, list[Command]()
        if population.ended is not None:
            return [Stop(work.work) for work in running]
        ready = self.ready() if self.strategy.decides else set()
        free = list(free)
        held: set[int] = set()
        waiting: list[Running] = []
        for work in running:
            member = population.members[work.member]
            if member.live and member.segment == work.segment:
                held.add(work.member)
                if work.waiting:
                    waiting.append(work)
            else:
                commands.append(Stop(work.work))
                free.append(work.slot)
        if not waiting and (not free or len(held) == population.training):
            return commands
        wanting = sorted(
            (member for member in population.live if member.number not in held and member.number not in ready),
            key=_behind,
            reverse=True,
        )
        for work in sorted(waiting, key=lambda work: _behind(population.members[work.member]), reverse=True):
            member = population.members[work.member]
            at_barrier = work.member in ready
            yields = len(wanting) > len(free) and self._at_checkpoint(member, work.until)
            if yields and (at_barrier or _behind(wanting[-1 - len(free)])[0] < _behind(member)[0]):
                commands.append(Stop(work.work))
                free.append(work.slot)
                if not at_barrier:
                    wanting.append(member)
                    wanting.sort(key=_behind, reverse=True)
            elif not at_barrier:
                commands.append(Proceed(work.work, self.lease(work.member)))
        for slot in sorted(free):
            if wanting:
                commands.append(Start(wanting.pop().number, slot))
        return commands

    def _at_checkpoint(self, member: Member, until: float) -> bool:
        """Whether the member has just handed over a checkpoint, at or past the end of its lease.

        A lease of one report (a stop rule that the controller judges) is no reason to yield: the function would be
        started anew for every report.
        """
        points = self.population.segments[member.segment].points
        at = self.population.segments[member.segment].last
        return bool(points) and points[-1].iteration == at and points[-1].time >= until

    # ------------------------------------------------------------------

    def _do(self, event: Event) -> None:
        self.population.apply(event)
        self._out.append(event)

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out


def _behind(member: Member) -> tuple[int, int]:
    """Order members by the work that they have done; the number settles ties.

    Not by how far their models are: a clone is set back to where its donor was, and two that are cloned over and over
    would hold the slots for ever, while the donor that they wait for never gets one.
    """
    # A failure counts as work, or a member that fails at once for ever would be the first for ever.
    return (member.worked + member.failures, member.number)
