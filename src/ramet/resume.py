"""What it means to take up a run: who trains on, who begins anew, who is new, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ramet import fsck
from ramet.aside import Aside
from ramet.core.engine import COMPLETE, Engine
from ramet.core.events import Began, Event, Noted, Reported
from ramet.core.population import FOREBEAR, Checkpoint, Member, Population
from ramet.core.stopping import Threshold
from ramet.errors import ConfigError, RunError
from ramet.record import Record
from ramet.settings import comparable
from ramet.space import Space
from ramet.strategy.base import Strategy

_OWN_ACCORD = ("the function returned", "done")


@dataclass
class Past:
    """The run in ``folder`` that is to be taken up, with what it kept ``aside``, and what is asked of it.

    ``errored`` members that failed go on, or with ``anew`` begin from nothing; ``changes`` are the arguments that
    differ from what the run was set up with.
    """

    folder: Path
    aside: Aside
    errored: bool
    anew: bool
    changes: Mapping[str, Any]

    def began(self) -> Began:
        """Return how the run was set up.

        Raises:
            RunError: there is no run, or its very beginning is damaged.
        """
        record = Record.open(self.folder, self.aside)
        try:
            first = next(record.events(), None)
        finally:
            record.close()
        if not isinstance(first, Began):
            raise RunError(f"{self.folder} holds the beginning of a run that never began: start it anew")
        return first


def retold(past: Past, engine: Engine, *, power_safe: bool) -> tuple[Record, list[str]]:
    """Let ``engine`` take in what happened so far, and return the record to go on with.

    What is damaged is repaired first; what was done for that is returned too.
    """
    record, done = Record.open(past.folder, past.aside), list[str]()
    try:
        record.check_there()
        _, engine.population, wrong = fsck.whole(record)
    finally:
        record.close()
    if wrong is not None:
        done = fsck.repair(past.folder)
    record = Record.resume(past.folder, past.aside, power_safe=power_safe)
    try:
        record.store.root.mkdir(exist_ok=True)
        if wrong is not None:
            engine.population = record.population()
        if engine.population.ahead:
            engine.population = went_back(record)
    except BaseException:
        record.close()
        raise
    return record, done


def went_back(record: Record) -> Population:
    """Cut a record where all that members stood on was durable for the last time, and return the population of then.

    What came after was trained by an executor that held it in its memory (`ramet.VectorExecutor`), and is lost with it.
    It will be trained again.
    """
    seq, last, present = 0, 0, set[Checkpoint]()
    population, entries = Population(), record.ledger.last
    for seq, row in record.ledger.since(0, 0, entries):
        record.taken_in(row, population, entries)
        if row.ends and not population.ahead:
            last, present = seq, set(population.present)
    if seq != last:
        record.ledger.cut(last, present)
    return record.population()


def remind(record: Record, engine: Engine, who: Iterable[int]) -> None:
    """Let stoppers that judge the whole run see what they have seen, but for reports that will be made again.

    ``who`` are the members that had ended and train on.
    """
    population = engine.population
    lasts = {}
    for number in {*who, *(member.number for member in population.live)}:
        segment = population.current(number)
        lasts[segment.number] = segment.points[-1].iteration if segment.points else segment.start
    then = Population()
    for _, event in record.replayed(then):
        if not isinstance(event, Reported) or then.segments[event.segment].member == FOREBEAR:
            continue  # what a branch began from was reported in another run
        if event.last <= lasts.get(event.segment, event.last):
            engine.remember(event, then)


def founders(
    past: Past, population: Population, space: Space, strategy: Strategy, num_samples: int
) -> list[Mapping[str, Any]]:
    """Return the first configuration of every member, those of new ones included.

    Raises:
        ConfigError: fewer members are asked for than there are, or ``param_space`` would have drawn others.
    """
    first: dict[int, Mapping[str, Any]] = {}
    for segment in population.segments:
        first.setdefault(segment.member, segment.hparams)
    known = [first[number] for number in range(len(population.members))]
    if not {"num_samples", "param_space"} & past.changes.keys():
        return known
    drawn = strategy.founders(space.founders(num_samples, population.seed), space, population.seed)
    both = min(len(drawn), len(known))
    if comparable(drawn[:both]) != comparable(known[:both]):
        raise ConfigError(
            "Tuner.restore(param_space=…) would have drawn other members than the run has: give the param_space that "
            "it began with, or none"
        )
    if "num_samples" not in past.changes:
        return known
    if len(drawn) < len(known):
        raise ConfigError(
            f"Tuner.restore(num_samples={num_samples}) makes {len(drawn)} members, and the run has {len(known)}: "
            "members can be added, not taken away"
        )
    return [*known, *drawn[len(known) :]]


def again(past: Past, engine: Engine) -> Iterator[int]:
    """Yield the members that have ended and are to train on."""
    for member in engine.population.members:
        failed = member.state == "failed" and (past.errored or past.anew)
        by_a_rule = member.state == "finished" and member.reason not in _OWN_ACCORD
        by_a_rule = by_a_rule and ("stop", member.reason) not in engine.population.verdicts
        if failed or (by_a_rule and "stop" in past.changes and not _is_met(member, engine)):
            yield member.number


def is_over(engine: Engine, members: int) -> bool:
    """Whether the run came to its own end, and would again: nobody trains, or what ends it for everyone stands."""
    ended = engine.population.ended
    if not members:
        return ended == COMPLETE
    spent = engine.population.spent >= engine.rules.seconds
    return ended is not None and (spent or any(stopper.stop_all() for stopper in engine.rules.run))


def nothing_left(population: Population, folder: Path) -> str:
    """Return what to say to somebody who takes up a run that is over."""
    failed = sum(member.state == "failed" for member in population.members)
    told = f"run {folder.name}: nothing is left to train"
    return f"{told}; {failed} that failed would go on with resume_errored=True" if failed else told


def _is_met(member: Member, engine: Engine) -> bool:
    """Whether a stop rule that looks at one row alone stops the member where it is."""
    row = {
        **member.metrics,
        "training_iteration": engine.population.current(member.number).last,
        "compute_iterations": member.compute,
    }
    return any(
        rule.metric in row and rule.step(None, row)[1] is not None
        for rule in engine.rules.member
        if isinstance(rule, Threshold)
    )


def taken_up(
    past: Past,
    record: Record,
    engine: Engine,
    everyone: list[Mapping[str, Any]],
    who: list[int],
    facts: Mapping[str, Any],
    repaired: list[str],
) -> list[Event]:
    """Return the events by which the run goes on with ``everyone``, those who had ended (``who``) included."""
    population = engine.population
    gone = list(record.missing(population.alive()))
    events = engine.resume(
        everyone,
        facts,
        again=who,
        anew=[number for number in who if past.anew and population.members[number].state == "failed"],
        rules="stop" in past.changes,
        at=time.time(),
    )
    for name, why in gone:
        events += engine.lose(name, why)
    notes = [Noted(f"repaired:{population.segments[-1].number}:{at}", text) for at, text in enumerate(repaired)]
    for note in notes:
        population.apply(note)
    return [*events, *notes]
