"""From what workers hand over to what they do next, without touching either.

Two steps, each a pure function of the population and its argument:

* `Engine.record`: a handover -> the events that it means;
* `Engine.decide`: the population -> the events that the strategy decides.

The caller commits the events before it carries out what follows from them (`ramet.core.roster`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ramet.core.beginning import beginning
from ramet.core.blocks import as_dicts
from ramet.core.events import (
    Began,
    Decided,
    Ended,
    Event,
    Failed,
    Finished,
    Kept,
    Lost,
    Noted,
    Opened,
    Reported,
    Resumed,
    Saved,
    Sent,
)
from ramet.core.messages import COPY, HELD, PLACE, Block, Handover, Lease
from ramet.core.population import FOREBEAR, Checkpoint, Member, Population
from ramet.core.ranking import Ranking
from ramet.core.scene import Decision, Scene, standing
from ramet.core.scores import AUTOMATIC, scored
from ramet.core.stopping import StopRules, Threshold
from ramet.core.terms import Strategy
from ramet.core.terms import Terms as Terms
from ramet.errors import StrategyError
from ramet.space import Space

COMPLETE = "every member is done"
"""Why a run ends that has nothing left to do."""


TOLERANCE = 1e-12
"""Of times, relative: ten times 0.1 is a little less than 1."""


class Engine:
    """One run's decisions. Holds the population and the terms; does no I/O, reads no clock, keeps nothing else."""

    def __init__(
        self, population: Population, strategy: Strategy, space: Space, rules: StopRules, terms: Terms
    ) -> None:
        self.population, self.strategy, self.space = population, strategy, space
        self.rules, self.terms = rules, terms
        self._asks = f"TuneConfig(metric={terms.metric!r})"
        self._out: list[Event] = []
        self.ready: set[int] = set()
        """The live members that have handed over a checkpoint at or past their decision point."""
        self.together = False
        """Whether members that are ready at the same time decide at once, though the strategy waits for nobody: where
        one program trains them, each of them stands where all others do."""
        self._over: str | None = None
        self._touched: set[int] = set()
        self._ranking = Ranking()
        self._failed: set[int] = set()

    # ------------------------------------------------------------------ record

    def begin(
        self, seed: int, founders: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], past: Sequence[Event] = ()
    ) -> list[Event]:
        """Set up the run with one member for each founder's configuration; in a branch all go on from one ``past``."""
        self._do(Began(seed, len(founders), facts))
        for event in past:  # it is about nobody of this run
            self.population.apply(event)
        self._out += past
        for number, hparams in enumerate(founders):
            self._do(beginning(self.population, number, hparams, "founder"))
        return self._taken()

    def resume(
        self,
        founders: Sequence[Mapping[str, Any]],
        facts: Mapping[str, Any],
        *,
        again: Iterable[int] = (),
        anew: Iterable[int] = (),
        rules: bool = False,
        at: float = 0.0,
    ) -> list[Event]:
        """Take up the run that the population's events tell of.

        Args:
            founders: the configurations of all members; those beyond the present ones are new.
            facts: what has been changed.
            again: members that have ended and train on.
            anew: those of them that do so from the very start.
            rules: whether stop rules have been changed.
            at: the Unix time.
        """
        population, new = self.population, len(self.population.members)
        self._do(Resumed(len(founders), tuple(again), facts, rules, at))
        for number in [*anew, *range(new, len(founders))]:
            why = "founder" if number >= new else "restarted"
            self._do(beginning(population, number, founders[number], why))
        self._reopen()
        return self._taken()

    def remember(self, event: Reported, population: Population) -> None:
        """Let the stoppers that judge the whole run see a report of a run that is taken up; what they say is past.

        ``population`` is what it was then.
        """
        member = population.members[population.segments[event.segment].member]
        for _ in self._judged(population, member, event.first, event.last, event.rows, 0.0):
            pass

    def lose(self, name: Checkpoint, reason: str) -> list[Event]:
        """A checkpoint is damaged or gone: let the members that stood on it go on from an older one.

        That is the latest on the way to the member's model that is there; without any it is a founder again.
        """
        population = self.population
        if name not in population.present:
            return []
        self._do(Lost(*name, reason))
        self._reopen()
        return self._taken()

    def _reopen(self) -> None:
        """Open a segment for everyone whose checkpoint was lost: there was one, and they stand nowhere."""
        population = self.population
        for member in population.live:
            segment = population.current(member.number)
            if member.point is not None or not (segment.points or segment.parent is not None):
                continue
            older, number = population.older(member.number), len(population.segments)
            if older is None:
                hparams = next(s.hparams for s in population.lineage(segment.number) if s.member != FOREBEAR)
                self._do(Opened(number, member.number, None, 0, hparams, {"why": "lost"}))
            else:
                # What a strategy has noted of the member holds on; weights that are its own are mixed already.
                info = {**segment.info, "why": "lost"}
                if older.segment == segment.number:
                    info.pop("weights", None)
                self._do(Opened(number, member.number, *older.checkpoint, segment.hparams, info))

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
        if handover.trouble is not None:
            self._note(f"trouble:{member.number}", f"member {member.number} waits: {handover.trouble}")
        if handover.unmixed:
            self._note(
                "weights",
                f"{type(self.strategy).__name__} asks for mixed or new weights, and the training function of member "
                f"{member.number} went on with those of its checkpoint: load them as ramet.inherited(weights, fresh)",
            )
        if handover.overdue and member.point is None and self.strategy.decides:
            self._note_overdue(member)
        if handover.error is not None:
            if handover.fault == PLACE:
                self._do(Failed(segment, handover.error, final=False, counted=False))
            else:
                self._fail(segment, handover.error, retry=handover.fault != "report")
        elif handover.ended is not None:
            self._finish(segment, member, handover.ended)
        return self._taken()

    def saved(self, names: Iterable[Checkpoint]) -> list[Event]:
        """The executor has made checkpoints durable that it held; those that nobody needs are not worth telling of."""
        needed = [name for name in names if name in self.population.retention.held]
        self._do(Saved(tuple(number for name in needed for number in name)))
        return self._taken()

    def sent(self, names: Iterable[Checkpoint]) -> list[Event]:
        """Checkpoints that one machine alone had are in the store; those that are kept no more are not told of."""
        known = [name for name in names if name in self.population.away and name in self.population.present]
        if known:
            self._do(Sent(tuple(number for name in known for number in name)))
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
        score = self._scored(metrics, member)
        rank: float | str = float(member.compute)  # without an attribute to go by, the newest are kept
        if terms.rank_attribute is not None:
            who = f"CheckpointConfig(checkpoint_score_attribute={terms.rank_attribute!r})"
            rank = scored(metrics, terms.rank_attribute, terms.rank_order, who, member.number)
        others = [
            scored(metrics, name, mode, f"{name!r}, which {type(self.strategy).__name__} looks at,", member.number)
            for name, mode in terms.objectives.items()
        ]
        for wrong in (score, rank, *others):
            if isinstance(wrong, str):
                self._fail(segment, wrong, retry=False)
                return False
        assert isinstance(score, float)
        assert isinstance(rank, float)
        time = block.time if block.time is not None else float(block.last)
        size = 0 if block.stored is None else block.stored.size
        held = block.stored is not None and block.stored.kind == HELD
        away = block.stored is not None and block.stored.away
        more = (block.stopping, size, block.pinned, block.spent, held, away)
        self._do(Kept(segment, block.last, time, score, rank, block.clock, *more))
        return True

    def _scored(self, metrics: Mapping[str, Any], member: Member) -> float | str:
        return scored(metrics, self.terms.metric, self.terms.mode, self._asks, member.number)

    def _run_rules(self, segment: int, member: Member, block: Block) -> bool:
        """Ask the stoppers that judge the whole run; their leases are one report long, so a block is one row."""
        if not self.rules.run:
            return False
        for name, one, everyone in self._judged(
            self.population, member, block.first, block.last, block.rows, block.clock
        ):
            if one and member.live:
                self._do(Finished(segment, f"{name} said so"))
            if everyone and self.together:  # others have come as far, and have not been heard of yet
                self._over = self._over or f"{name} ended the run"
            elif everyone and self.population.ended is None:
                self._do(Ended(f"{name} ended the run"))
        return not member.live or self.population.ended is not None

    def _judged(
        self, population: Population, member: Member, first: int, last: int, rows: bytes | str, clock: float
    ) -> Iterator[tuple[str, bool, bool]]:
        """Yield the verdicts on each row: who judged, whether this member stops, whether everyone does."""
        if not self.rules.run:
            return
        for offset, row in enumerate(as_dicts(rows)):
            columns = sorted(row)
            row.update(
                training_iteration=first + offset,
                compute_iterations=member.compute - (last - first) + offset,
                trial_id=f"{member.number:05d}",
                config=population.hparams(member.number),
            )
            row.setdefault("time_total_s", clock)
            for stopper in self.rules.run:
                name = type(stopper).__name__
                try:
                    one, everyone = stopper(row["trial_id"], row), stopper.stop_all()
                except Exception as error:
                    raise StrategyError(
                        f"RunConfig(stop={name}(…)) raised {type(error).__name__}: {error} when it was asked about "
                        f"report {row['training_iteration']} of member {member.number}, {columns}"
                    ) from error
                yield name, one, everyone

    def _finish(self, segment: int, member: Member, reason: str) -> None:
        metric = self.terms.metric
        if metric is not None and metric not in member.metrics and metric not in AUTOMATIC and member.compute:
            self._fail(segment, str(self._scored(member.metrics, member)), retry=False)
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
            if isinstance(rule, Threshold) and rule.metric not in AUTOMATIC and rule.metric not in member.metrics:
                self._note(
                    f"stop:{rule.metric}",
                    f"RunConfig(stop={{{rule.metric!r}: {rule.value}}}) cannot stop member {member.number}, which "
                    f"has reported {sorted(member.metrics)} so far: report it or change stop=",
                )

    def _note_overdue(self, member: Member) -> None:
        self._note(
            "no-checkpoint",
            f"member {member.number} has passed two perturbation intervals (2 x {self.strategy.interval:g} on "
            f"{self.strategy.time_attr}) without a checkpoint, so it can neither clone nor be cloned: pass "
            "checkpoint= to report() at least once in an interval, or ask should_checkpoint()",
        )

    def note_budget(self) -> list[Event]:
        """Say so, if the checkpoints that are needed are more than the budget allows."""
        kept = self.population.retention
        if kept.max_bytes is not None and kept.bytes > kept.max_bytes:
            self._note(
                "max_bytes",
                f"the checkpoints that are needed take {kept.bytes:,} bytes, more than "
                f"CheckpointConfig(max_bytes={kept.max_bytes}) allows: nothing else is kept, and they stay",
            )
        return self._taken()

    def _note(self, kind: str, text: str) -> None:
        if kind not in self.population.noted:
            self._do(Noted(kind, text))

    # ------------------------------------------------------------------ decide

    def _is_ready(self, member: Member) -> bool:
        point = member.point
        return (
            self.strategy.decides
            and member.live
            and point is not None
            and point is not member.decided
            and point.segment == member.segment
            and point.time >= self._due(member)
        )

    def _due(self, member: Member) -> float:
        """Return the member's decision point, less what sums of fractional times may be off by."""
        due = self.strategy.due(member)
        return due if self.strategy.time_attr == "training_iteration" else due - TOLERANCE * abs(due)

    def decide(self) -> list[Event]:
        """Return what the strategy decides now: for every live member at once when synchronous, else as they come."""
        population = self.population
        if self._over is not None:
            return self.end(self._over)
        if not self.ready or population.ended is not None:
            return []
        if self.strategy.synch and len(self.ready) < population.training:
            return []
        ready = sorted(self.ready)
        for together in [ready] if self.strategy.synch or self.together else [[member] for member in ready]:
            self._decide(together)
        return self._taken()

    def _decide(self, ready: list[int]) -> None:
        population = self.population
        scene = Scene.of(population, self.space, ready, self._ranking)
        decisions = {decision.member: decision for decision in self.strategy.decide(scene)}
        if sorted(decisions) != ready:
            raise StrategyError(
                f"{type(self.strategy).__name__}.decide returned decisions for members {sorted(decisions)}, asked for "
                f"{ready}: it owes exactly one to each"
            )
        # Where all were ready, whom the failed are cloned from does not depend on when they failed.
        failed = sorted(self._failed) if self.terms.replace else []
        replaced = [decision for member in failed if (decision := self.strategy.replace(scene, member)) is not None]
        for decision in [*(decisions[member] for member in ready), *replaced]:
            self._carry_out(decision)

    def _carry_out(self, decision: Decision) -> None:
        population, member = self.population, decision.member
        point = population.members[member].point
        at = (population.current(member).number, 0) if point is None else point.checkpoint
        self._do(Decided(member, *at, decision.verdict, decision.reason))
        if decision.verdict == "stop":
            self._do(Finished(population.members[member].segment, decision.reason))
            return
        anew = decision.verdict == "restart"
        if decision.start is None and not anew:
            return
        if decision.start is not None and decision.start not in population.present:
            raise StrategyError(
                f"{type(self.strategy).__name__} starts member {member} from checkpoint {decision.start}, which is "
                "not there: start from a point of the scene"
            )
        hparams = population.hparams(member) if decision.hparams is None else decision.hparams
        info = {"why": decision.verdict, **decision.info}
        if decision.weights != COPY:
            info["weights"] = [*decision.weights]
        parent, iteration = decision.start or (None, 0)
        self._do(Opened(len(population.segments), member, parent, iteration, hparams, info))

    def lease(self, member: int) -> Lease:
        """Return the leave to train that ``member`` has now."""
        strategy = self.strategy
        until = self._due(self.population.members[member]) if strategy.decides else math.inf
        return Lease(until, strategy.interval, each_report=bool(self.rules.run))

    # ------------------------------------------------------------------

    def touched(self) -> set[int]:
        """Take out the members that something has happened to since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def _do(self, event: Event) -> None:
        self.population.apply(event)
        self._out.append(event)
        match event:
            case Reported(segment=segment):  # rows alone move nobody
                self._touched.add(self.population.segments[segment].member)
            case Kept(segment=segment) | Failed(segment=segment) | Finished(segment=segment):
                self._touch(self.population.segments[segment].member)
            case Opened(member=number) | Decided(member=number):
                self._touch(number)
            case Began() | Resumed() | Lost():
                for member in self.population.members:
                    self._touch(member.number)

    def _touch(self, number: int) -> None:
        member = self.population.members[number]
        self._touched.add(number)
        if self._is_ready(member):
            self.ready.add(number)
        else:
            self.ready.discard(number)
        if member.state == "failed":
            self._failed.add(number)
        else:
            self._failed.discard(number)
        self._ranking.place(number, standing(self.population, member))

    def _taken(self) -> list[Event]:
        out, self._out = self._out, []
        return out
