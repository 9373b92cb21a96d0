"""What `Tuner.fit` sets going: a run's folder, its record and its engine, new or as they were left, and the loop."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet import settings
from ramet.aside import Aside
from ramet.core.engine import Engine, Terms
from ramet.core.messages import Setup
from ramet.core.population import Population
from ramet.core.scores import AUTOMATIC
from ramet.core.stopping import Stopper, stop_rules
from ramet.errors import ConfigError, LockedError, MemberError, RunError
from ramet.loop import Loop
from ramet.record import CHECKPOINTS, Record
from ramet.signals import Signals
from ramet.store.away import HOME
from ramet.store.ledger import NAME, Ledger
from ramet.store.lock import LOCK, RunLock
from ramet.trainable import name_of
from ramet.view.farewell import farewell
from ramet.view.live import display_for

if TYPE_CHECKING:
    from ramet.core.events import Event
    from ramet.executor.base import Executor
    from ramet.results import ResultGrid
    from ramet.resume import Past
    from ramet.store.remote import Remote
    from ramet.store.shipping import Shipping
    from ramet.tuner import Tuner


def begin(tuner: Tuner, executor: Executor) -> ResultGrid:
    """Run anew, or from where a branch begins: all that can be refused is refused before there is a folder."""
    signals = Signals(tuner.run.time_limit_s)
    seed = tuner.tune.seed if tuner.tune.seed is not None else secrets.randbits(32)
    drawn = tuner.space.founders(tuner.tune.num_samples, seed)
    founders = tuner.strategy.founders(drawn, tuner.space, seed)
    engine = _engine(tuner)
    executor.prepare(tuner.trainable, founders, engine.rules.member, tuner.space.mutable_to_plain().keys())
    _check_metric(tuner, getattr(executor, "reported", None))
    name = tuner.run.name or f"{name_of(tuner.trainable)}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    store = None if tuner.run.url is None else _store(tuner.run.url)
    folder, lock = _new_folder(Path(tuner.run.folder), name, store)
    with lock, _shipping(tuner, folder, store) as shipping:
        settings.save(folder, tuner.param_space, tuner.tune, tuner.run)
        aside = Aside(folder, together=(tuner.param_space, tuner.tune.scheduler))
        record = Record.create(folder, _meta(), aside, power_safe=tuner.run.durability == "power")
        record.shipping = shipping
        facts = _facts(tuner, folder.name, executor)
        setup = _setup(tuner, engine, folder, folder.name, seed, shipping)
        first: Callable[[], list[Event]] = partial(engine.begin, seed, founders, facts)
        if tuner._origin is not None:
            try:
                tuner._origin.begin(tuner, engine, record, seed, founders, facts)
            except BaseException:
                with contextlib.suppress(RunError):
                    record.sweep()  # what was copied; the name is free again
                record.close()
                raise
            first = list  # all of it is in the record
        return _run(tuner, signals, setup, engine, record, executor, len(founders), first)


def _check_metric(tuner: Tuner, reported: Sequence[str] | None) -> None:
    """Refuse a metric that no member will report, where it is known what they will."""
    if reported is not None and tuner.metric is not None and tuner.metric not in {*reported, *AUTOMATIC}:
        raise ConfigError(
            f"TuneConfig(metric={tuner.metric!r}) is not among the metrics {sorted(reported)} that "
            f"{name_of(tuner.trainable)} returns: return it, or name another one"
        )


def go_on(tuner: Tuner, executor: Executor, past: Past) -> ResultGrid:
    """Take up the run that ``past`` tells of, where it was left."""
    from ramet import resume

    signals = Signals(tuner.run.time_limit_s)
    engine = _engine(tuner)
    with RunLock.take(past.folder), _shipping(tuner, past.folder) as shipping:
        power_safe = tuner.run.durability == "power"
        record, repaired = resume.retold(past, engine, power_safe=power_safe)
        record.shipping = shipping
        population = engine.population
        try:
            record.sweep()  # what the dead left behind
            founders = resume.founders(past, population, tuner.space, tuner.strategy, tuner.tune.num_samples)
            again = sorted(resume.again(past, engine))
            if engine.rules.run:
                resume.remind(record, engine, again)
            members = population.training + len(again) + len(founders) - len(population.members)
            facts = _changed(tuner, past, population.facts)
            executor.prepare(tuner.trainable, founders, engine.rules.member, tuner.space.mutable_to_plain().keys())
        except BaseException:
            record.close()
            raise
        if resume.is_over(engine, members):
            record.close()
            if shipping is not None:
                shipping.start()
                left = shipping.finish()
                if left is not None and tuner.run.verbose:
                    print(left)
            if tuner.run.verbose:
                print(resume.nothing_left(population, past.folder))
            return _results(tuner, record, population)

        def taken_up() -> list[Event]:
            return resume.taken_up(past, record, engine, founders, again, facts, repaired)

        # First the settings: who repeats a call that died in between changes what it asked for once more.
        settings.save(past.folder, tuner.param_space, tuner.tune, tuner.run)
        name = population.facts.get("run", past.folder.name)
        setup = _setup(tuner, engine, past.folder, name, population.seed, shipping)
        if tuner.failure.exhausted == "replace":  # who had failed may train again
            members = len(founders)
        return _run(tuner, signals, setup, engine, record, executor, max(members, 1), taken_up)


def _run(
    tuner: Tuner,
    signals: Signals,
    setup: Setup,
    engine: Engine,
    record: Record,
    executor: Executor,
    members: int,
    begin: Callable[[], list[Event]],
) -> ResultGrid:
    display = display_for(tuner.run.verbose, executor.interactive)
    at_once = tuner.tune.max_concurrent_trials or None
    if record.shipping is not None:
        record.shipping.start()
    loop = Loop(engine, record, executor, display, tuner.run, at_once, signals)
    try:
        loop.run_to_end(setup, tuner.trainable, members, begin)
    except BaseException:
        farewell(engine.population, record.folder, tuner.trainable, silent=not tuner.run.verbose)
        raise
    if tuner.failure.fail_fast == "raise":
        for member in engine.population.members:
            if member.state == "failed":
                raise MemberError(f"member {member.number} failed:\n{member.error}")
    return _results(tuner, record, engine.population)


def _store(url: str) -> Remote:
    """Return the store in which runs are kept, once it is sure that it can be.

    Raises:
        ConfigError, StorageError: it cannot, and why.
    """
    from ramet.store.remote import Remote

    store = Remote(url)
    store.check()
    return store


@contextlib.contextmanager
def _shipping(tuner: Tuner, folder: Path, store: Remote | None = None) -> Iterator[Shipping | None]:
    """Have the run in ``folder`` shipped to ``store``, or to where it was; None for one of this machine alone."""
    if store is None and not (folder / HOME).exists():
        yield None
        return
    from ramet.config import SyncConfig
    from ramet.store.shipping import Shipping
    from ramet.store.snapshots import Home, home

    found = None
    if store is None:
        found = home(folder)
        assert found is not None
        remote = _store(found.url)
    else:
        remote = store.below(folder.name)
    sync = tuner.run.sync_config or SyncConfig()
    shipping = Shipping(
        folder,
        remote,
        found or Home(remote.url, secrets.token_hex(16)),
        period=sync.sync_period,
        budget=sync.cache_bytes,
    )
    try:
        yield shipping
    finally:
        shipping.finish(lambda: True)  # if the run has not got so far


def _results(tuner: Tuner, record: Record, population: Population) -> ResultGrid:
    from ramet.results import ResultGrid  # here, for a run is in no hurry once it is over

    return ResultGrid(record.folder, tuner.metric, tuner.mode, aside=record.aside, population=population)


def _engine(tuner: Tuner) -> Engine:
    rules = stop_rules(tuner.run.stop, tuner.tune.time_budget_s)
    for stopper in rules.run:
        if isinstance(stopper, Stopper):
            stopper.begin()
    terms = Terms(
        tuner.metric,
        tuner.mode,
        tuner.checkpoints.checkpoint_score_attribute,
        tuner.checkpoints.checkpoint_score_order,
        tuner.failure.max_failures,
        bool(tuner.failure.fail_fast),
        tuner.failure.exhausted == "replace",
        tuner.strategy.objectives,
    )
    return Engine(Population(), tuner.strategy, tuner.space, rules, terms)


def _setup(tuner: Tuner, engine: Engine, folder: Path, name: str, seed: int, shipping: Shipping | None) -> Setup:
    return Setup(
        run=name,
        seed=seed,
        time_attr=tuner.strategy.time_attr,
        rules=engine.rules.member,
        store=str(folder / CHECKPOINTS),
        report_timeout_s=tuner.failure.report_timeout_s,
        home=None if shipping is None else shipping.remote.url,
        cache=None if shipping is None else shipping.depot.budget,
    )


def _facts(tuner: Tuner, name: str, executor: Executor) -> dict[str, Any]:
    return {
        "run": name,
        "trainable": name_of(tuner.trainable),
        "metric": tuner.metric,
        "mode": tuner.mode,
        "time_attr": tuner.strategy.time_attr,
        "strategy": tuner.strategy.describe(),
        **({"objectives": dict(tuner.strategy.objectives)} if tuner.strategy.objectives else {}),
        "mutable": tuner.space.mutable_to_plain(),
        **({"together": True} if executor.together and not tuner.strategy.synch else {}),
        **_retention(tuner),
        **_stop(tuner),
    }


def _retention(tuner: Tuner) -> dict[str, Any]:
    kept = tuner.checkpoints
    return {"num_to_keep": kept.num_to_keep, "max_bytes": kept.max_bytes, "keep_lineage": kept.keep_lineage}


def _stop(tuner: Tuner) -> dict[str, Any]:
    return {"stop": repr(tuner.run.stop), "goal": _goal(tuner.run.stop)}


def _changed(tuner: Tuner, past: Past, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the run that are others from now on."""
    changed: dict[str, Any] = {}
    if "stop" in past.changes:
        changed |= _stop(tuner)
    if "checkpoint_config" in past.changes:
        changed |= _retention(tuner)
        if changed["keep_lineage"] != facts.get("keep_lineage", False):
            raise ConfigError(
                f"Tuner.restore(checkpoint_config=CheckpointConfig(keep_lineage={changed['keep_lineage']})) cannot "
                "be changed: what was let go does not come back. Keep it as it was"
            )
    return changed


def _new_folder(parent: Path, name: str, store: Remote | None) -> tuple[Path, RunLock]:
    """Create the run's folder, and lock it. A name that is used, here or in ``store``, gets a number.

    That of a run that died before it began is free again.
    """
    number = 0
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            number += 1
            folder = parent / (name if number == 1 else f"{name}_{number}")
            if store is not None and _is_used(store.below(folder.name)):
                continue
            try:
                folder.mkdir()
            except FileExistsError:
                if not never_began(folder):
                    continue
            with contextlib.suppress(LockedError):
                lock = RunLock.take(folder)
                if never_began(folder):  # nor has it while we came
                    for left in (HOME, NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal"):
                        (folder / left).unlink(missing_ok=True)
                    return folder, lock
                lock.release()
    except OSError as error:
        raise RunError(
            f"cannot create the run's folder in {parent}: {error}; choose another storage_path=, or RAMET_RUNS"
        ) from error


def _is_used(place: Remote) -> bool:
    from ramet.store.holder import HOLDER
    from ramet.store.snapshots import POINTER

    return place.has(POINTER) or place.has(HOLDER)


def never_began(folder: Path) -> bool:
    """Whether a folder holds nothing but what a run lays out before its first entry."""
    laid_out = {NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal", LOCK, HOME, settings.NAME, CHECKPOINTS}
    if not folder.is_dir() or not {each.name for each in folder.iterdir()} <= laid_out:
        return False
    if (folder / CHECKPOINTS).is_dir() and any((folder / CHECKPOINTS).iterdir()):
        return False
    if not (folder / NAME).exists() or not (folder / NAME).stat().st_size:
        return True
    try:
        ledger = Ledger.open(folder)
        try:
            return not ledger.last
        finally:
            ledger.close()
    except RunError:
        return False  # damaged, perhaps; it is somebody's


def _meta() -> dict[str, str]:
    from ramet import __version__

    return {"ramet": __version__, "created": datetime.now().astimezone().isoformat(), "process": str(os.getpid())}


def _goal(stop: Any) -> float | None:
    """Return the iteration at which members stop, for a progress bar, if the stop rules name one."""
    goal = stop.get("training_iteration") if isinstance(stop, Mapping) else None
    return float(goal) if isinstance(goal, (int, float)) else None
