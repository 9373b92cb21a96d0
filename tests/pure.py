"""A run without any executor: handovers made by hand, for tests of the core alone."""

from __future__ import annotations

import math
from typing import Any

import ramet
from ramet.core.blocks import encoded, encoded_seconds, kinds_of
from ramet.core.engine import Engine, Terms
from ramet.core.events import Event
from ramet.core.messages import Block, Handover, StoredCheckpoint
from ramet.core.population import Population
from ramet.core.roster import Command, Roster, Running
from ramet.core.stopping import StopRules, stop_rules
from ramet.space import Space

SMALL = StoredCheckpoint("pickle", b"x", size=1)


def block(
    first: int,
    last: int,
    score: float | None = None,
    *,
    kept: bool = True,
    time: float | None = None,
    metrics: dict[str, Any] | None = None,
) -> Block:
    """Rows ``first`` to ``last``, the last one with a checkpoint if ``kept``."""
    values = {"score": score} if metrics is None else metrics
    count = last - first + 1
    return Block(
        first=first,
        last=last,
        metrics=values,
        rows=encoded(list(values), kinds_of([*map(type, values.values())]), [*values.values()] * count, count),
        elapsed=encoded_seconds([float(i) for i in range(first, last + 1)]),
        at=0.0,
        time=float(last if time is None else time),
        clock=float(last),
        stored=SMALL if kept else None,
    )


class Pure:
    """An engine with a population of founders, and every event that it has given so far."""

    def __init__(
        self,
        members: int = 4,
        *,
        synch: bool = True,
        interval: float = 5,
        keep: int | None = None,
        terms: Terms | None = None,
        stop: Any = None,
        strategy: ramet.Strategy | None = None,
        seed: int = 0,
        facts: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        self.strategy = strategy or ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=interval,
            hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
            synch=synch,
            **arguments,
        )
        space = Space({"lr": ramet.uniform(0.0, 1.0)}, self.strategy.mutations)
        rules = stop_rules(stop) if stop is not None else StopRules()
        self.population = Population()
        self.engine = Engine(self.population, self.strategy, space, rules, terms or Terms("score", "max"))
        self.events: list[Event] = self.engine.begin(
            seed, space.founders(members, seed), {"num_to_keep": keep, **(facts or {})}
        )
        self.swept: set[tuple[int, int]] = set()

    def hand(self, member: int, *blocks: Block, **more: Any) -> list[Event]:
        """Let the member's current work hand over; return what came of it, decisions included."""
        return self.hand_of(self.population.members[member].segment, *blocks, **more)

    def hand_of(self, segment: int, *blocks: Block, **more: Any) -> list[Event]:
        """Let work on ``segment``, current or not, hand over."""
        events = self.engine.record(segment, Handover(1, tuple(blocks), **more)) + self.engine.decide()
        self.events += events
        self.swept |= self.population.garbage()
        return events

    def report(self, member: int, score: float = math.nan, *, to: int | None = None, kept: bool = True) -> list[Event]:
        """Let the member report up to iteration ``to`` (the next decision point by default)."""
        segment = self.population.current(member)
        until = self.strategy.due(self.population.members[member])
        last = to if to is not None else int(max(segment.last + 1, until))
        return self.hand(member, block(segment.last + 1, last, score, kept=kept), waiting=kept)


def kinds(events: list[Event]) -> list[str]:
    """The names of the events, in order."""
    return [type(event).__name__ for event in events]


def planned(run: Pure, running: list[Running], free: list[int]) -> list[Command]:
    """What follows for work that runs and slots that are free."""
    return Roster(run.engine, [*free, *(work.slot for work in running)], running).plan()
