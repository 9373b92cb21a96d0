"""Ten thousand members on slots of random speeds, with failures: everybody gets on, and every promise holds."""

import itertools
import os

import pytest

import ramet
from ramet.core.events import Kept, Opened, Reported
from ramet.core.population import Population
from ramet.core.retention import Retention
from ramet.record import Record

INTERVAL = 3


def step(config):
    """The cheapest member: counts, and saves at every third step."""
    checkpoint = ramet.get_checkpoint()
    i = checkpoint.to_dict()["i"] if checkpoint else 0
    while True:
        i += 1
        saved = ramet.Checkpoint.from_dict({"i": i}) if i % INTERVAL == 0 else None
        ramet.report({"score": config["lr"] * i}, checkpoint=saved)


def fit(folder, members, slots, synch, stop, failures=0.01, callbacks=None):
    """Train them on a simulated machine; return the results."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=INTERVAL,
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
        synch=synch,
    )
    return ramet.Tuner(
        step,
        param_space={"lr": ramet.uniform(0.0, 1.0)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, scheduler=scheduler, seed=1),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=folder,
            # By work done, for a model's iteration is set back by clones.
            stop=ramet.MaximumIterationStopper(stop),
            executor=ramet.SimulatedExecutor(slots, spread=0.5, failures=failures, seed=3),
            failure_config=ramet.FailureConfig(max_failures=-1),
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            callbacks=callbacks,
            verbose=0,
        ),
    ).fit()


class Watch(ramet.Callback):
    """How far the member furthest ahead in work is before the one furthest behind, at its widest."""

    def __init__(self, every):
        self.every, self.seen, self.spread = every, 0, 0

    def on_run_start(self, path, population):
        self.population = population

    def on_checkpoint(self, member, segment, iteration, score):
        self.seen += 1
        if self.seen % self.every == 0:
            work = [m.compute for m in self.population.members]
            self.spread = max(self.spread, max(work) - min(work))


@pytest.mark.parametrize("synch", [True, False])
def test_a_large_population_ends_and_nobody_starves(tmp_path, synch, long, capsys):
    """With fewer slots than members, of very different speeds, all train equally long and stay close together."""
    members, slots, stop = (10_000, 500, 12) if long else (300, 20, 15)
    watch = Watch(every=max(members // 20, 1))
    results = fit(tmp_path, members, slots, synch, stop, callbacks=[watch])
    population = results.population
    assert {member.state for member in population.members} == {"finished"}
    assert {member.compute for member in population.members} == {stop}
    # A member has at most one lease more than another: slots go to those that have worked least.
    bound = 3 * INTERVAL
    assert watch.spread <= bound
    with capsys.disabled():
        print(
            f"\n{members} members on {slots} slots, {'synchronous' if synch else 'asynchronous'}: "
            f"{population.exploits} exploits, {sum(m.worked for m in population.members)} reports, spread of work "
            f"between the furthest ahead and behind at most {watch.spread} (bound {bound})"
        )


@pytest.mark.parametrize("synch", [True, False])
@pytest.mark.parametrize("failures", [0.01, 0.2])
def test_every_invariant_after_every_event(tmp_path, synch, failures, long):
    """Replayed event by event, rows are gapless, clones start at committed checkpoints, and what is needed is there."""
    members, stop = (40, 24) if long else (12, 12)
    fit(tmp_path, members, 5, synch, stop, failures)
    record = Record.open(tmp_path / "run")
    population, made = Population(), set()
    last: dict[int, int] = {}
    try:
        for _, event in record.replayed(population):
            if isinstance(event, Opened):
                assert event.parent is None or (event.parent, event.iteration) in made
                last[event.segment] = event.iteration
            elif isinstance(event, Reported):
                assert event.first == last[event.segment] + 1
                last[event.segment] = event.last
            elif isinstance(event, Kept):
                made.add((event.segment, event.iteration))
                assert event.iteration == last[event.segment]
            for member in population.members:
                if member.segment < 0:
                    continue
                segment = population.current(member.number)
                assert segment.member == member.number
                assert segment.start <= segment.last
                held = [p.checkpoint for p in (member.point, member.decided, segment.origin) if p is not None]
                assert set(held) <= population.present
                line = population.lineage(segment.number)
                assert line[0].parent is None
                assert all(a.number == b.parent and a.start <= b.start for a, b in itertools.pairwise(line))
        names = {(row.segment, row.iteration) for row in record.ledger.checkpoints()}
        assert names == set(population.present), "on the disk lies what should"
        assert isinstance(population.retention, Retention)
    finally:
        record.close()
    assert os.listdir(tmp_path / "run" / "checkpoints") == []
