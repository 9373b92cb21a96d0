"""Decisions that make no sense, for rows that carry the proof of where they came from: a number for their lineage."""

import shutil

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from test_vector_crash import is_tidy, pictures  # noqa: E402
from vectors import happened, states, told, tuner  # noqa: E402

import ramet  # noqa: E402
from ramet.schedulers import Decision  # noqa: E402

MEMBERS = 7
STOP = 14


def init(key, hparams):
    """Begin without a past; the weight alone is drawn."""
    return {"chain": jnp.uint32(1), "weights": {"w": jax.random.uniform(key, (2,)), "batches": jnp.int32(0)}}


def step(state, hparams, key):
    """Link by link; what is drawn goes into the weight, what it is trained under into the chain."""
    rate = jnp.floor(hparams["lr"] * 1000).astype(jnp.uint32)
    chain = state["chain"] * jnp.uint32(1664525) + rate
    w, batches = state["weights"]["w"] + jax.random.uniform(key, (2,)), state["weights"]["batches"] + 1
    metrics = {"score": w.sum(), "chain": chain.astype(jnp.int32), "batches": batches}
    return {"chain": chain, "weights": {"w": w, "batches": batches}}, metrics


LINKS = ramet.VectorTrainable(init, step, weights="weights")
SPACE = {"lr": ramet.uniform(0.0, 1.0)}


class Dice(ramet.Strategy):
    """Does anything to anybody: swaps members, lets them begin anew, mixes their weights, ends some.

    Args:
        seed: other dice.
        uneven: let members decide at intervals of their own, as they come.
    """

    mutations = SPACE

    def __init__(self, seed=0, uneven=False):
        super().__init__(synch=not uneven)
        self.seed, self.uneven, self.interval = seed, uneven, 3.0

    def due(self, member):
        return member.since + (2 + member.number % 3 if self.uneven else self.interval)

    def decide(self, scene):
        return [self.decided(scene, member) for member in scene.ready]

    def decided(self, scene, member):
        dice = scene.generator(member, "dice", str(self.seed))
        face, lr = dice.integers(12), float(dice.uniform())
        known = scene.points.known
        donor = sorted(known)[dice.integers(len(known))]
        start = known[donor].checkpoint
        if face < 2:
            return Decision(member, "continue", "dice")
        if face < 8:
            return Decision(member, "exploit", "dice", start=start, hparams={"lr": lr})
        if face < 10:
            weights = [(0.5, 0.25), (0.0, 1.0)][face % 2]
            return Decision(member, "exploit", "dice", start=start, hparams={"lr": lr}, weights=weights)
        if face == 10:
            return Decision(member, "explore", "dice", start=known[member].checkpoint, hparams={"lr": lr})
        if dice.uniform() < 0.3 and len(known) > 3:
            return Decision(member, "stop", "dice")
        return Decision(member, "restart", "dice", hparams={"lr": lr})


def run(folder, executor, seed, uneven=False):
    """Throw the dice for a population."""
    given = {"trainable": LINKS, "space": SPACE, "pairs": MEMBERS, "stop": STOP}
    return tuner(folder, executor, Dice(seed, uneven), **given).fit()


def is_proven(results):
    """Every row follows from the one before it, in its segment or in the one that it was cloned from."""
    assert results.errors == []
    assert happened(results.experiment_path, "Lost", "Failed", "Noted") == []
    is_tidy(results.experiment_path)
    rows, segments = told(results.experiment_path)["rows"], results.population.segments
    for segment in segments:
        chain, rate = 1, int(np.floor(np.float32(segment.hparams["lr"]) * np.float32(1000)))
        if segment.parent is not None:
            chain = rows[segment.parent, segment.start]["chain"]
        for iteration in range(segment.start + 1, segment.last + 1):
            chain = (chain * 1664525 + rate) % 2**32
            assert rows[segment.number, iteration]["chain"] % 2**32 == chain, (segment, iteration)
    for result, state in zip(results, states(results), strict=True):
        point = results.population.members[result.member].point
        assert int(state["chain"]) == rows[point.checkpoint]["chain"] % 2**32
        assert float(state["weights/w"].sum()) == pytest.approx(rows[point.checkpoint]["score"])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_decided_rows_hold_the_right_models(tmp_path, seed):
    """Swaps, chains, restarts and mixtures, all at once: at once, in turn and one by one the rows are the same."""
    whole = run(tmp_path / "whole", ramet.VectorExecutor(checkpoint_every=2), seed)
    turns = run(tmp_path / "turns", ramet.VectorExecutor(rows=3, checkpoint_every=100), seed)
    is_proven(whole)
    is_proven(turns)
    assert told(whole.experiment_path) == told(turns.experiment_path)
    if seed == 0:
        alone = run(tmp_path / "alone", "inline", seed)
        assert told(alone.experiment_path)["rows"] == told(whole.experiment_path)["rows"]


@pytest.mark.parametrize("seed", range(6))
def test_whenever_it_is_decided_rows_hold_the_right_models(tmp_path, seed):
    """Members that decide at times of their own, and clone others halfway, get the models that those were judged by."""
    whole = run(tmp_path / "whole", ramet.VectorExecutor(checkpoint_every=3), seed, uneven=True)
    turns = run(tmp_path / "turns", ramet.VectorExecutor(rows=2, checkpoint_every=100), seed, uneven=True)
    is_proven(whole)
    is_proven(turns)
    assert told(whole.experiment_path) == told(turns.experiment_path)


def test_a_run_of_uneven_members_that_dies_goes_on_from_what_was_saved(tmp_path):
    """At whatever moment it died, what led to the models that were saved last is there, and all rows are proven."""
    folder = tmp_path / "run"
    with pictures(folder, tmp_path) as taken:
        run(folder, ramet.VectorExecutor(checkpoint_every=2), 1, uneven=True)
    began = [picture for picture in taken if "after commit" in picture.name and ramet.Tuner.can_restore(picture)]
    for picture in began[::2]:
        saved = happened(picture, "Saved")
        before = told(picture)["rows"]
        results = ramet.Tuner.restore(picture, LINKS).fit()
        is_proven(results)
        after = told(picture)["rows"]
        for number, last in [name for event in saved for name in event.names]:  # the run was cut no earlier than there
            kept = {name: row for name, row in before.items() if name[0] == number and name[1] <= last}
            assert kept.items() <= after.items()
        shutil.rmtree(picture)
