"""A member whose retries are used up, replaced by a strong one's clone."""

import pytest

import ramet
from ramet.core.events import Failed, Opened
from ramet.errors import ConfigError
from ramet.record import Record
from ramet.testing import story


def brittle(config):
    """Fails for good under large rates, from its third step on."""
    checkpoint = ramet.get_checkpoint()
    i = checkpoint.to_dict()["i"] if checkpoint else 0
    while True:
        i += 1
        if i > 2 and config["lr"] > 0.8:
            raise FloatingPointError("diverged")
        ramet.report({"score": (1 - config["lr"]) * i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))


def fit(folder, executor="inline", synch=True, exhausted="replace", retries=1, members=6, function=brittle, stop=24):
    """Train; return the results."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        synch=synch,
    )
    return ramet.Tuner(
        function,
        param_space={"lr": ramet.uniform(0.1, 1.0)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=5),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": stop}, verbose=0, executor=executor,
            failure_config=ramet.FailureConfig(max_failures=retries, exhausted=exhausted),
        ),
    ).fit()  # fmt: skip


def happened(results, kind):
    """The events of one kind."""
    record = Record.open(results.experiment_path)
    try:
        return [event for event in record.events() if isinstance(event, kind)]
    finally:
        record.close()


@pytest.mark.parametrize("synch", [True, False])
def test_who_fails_for_good_is_replaced_by_an_explored_clone(tmp_path, synch):
    """Its place is taken by a clone of a strong member, which has retries of its own and trains to the end."""
    without = fit(tmp_path / "end", synch=synch, exhausted="end")
    assert without.num_errors
    results = fit(tmp_path / "replace", synch=synch)
    failed = {event.segment for event in happened(results, Failed) if event.final}
    assert failed
    members = {results.population.segments[segment].member for segment in failed}
    taken = [e for e in happened(results, Opened) if e.member in members and e.parent is not None]
    assert all(results.population.segments[e.parent].member != e.member or e.info.get("donor") for e in taken)
    assert results.num_errors == 0
    final = [event for event in happened(results, Failed) if event.final]
    retried = [event for event in happened(results, Failed) if not event.final]
    assert len(retried) >= len(final), "each had its one retry first"


def test_replacement_does_not_depend_on_who_fails_when(tmp_path):
    """A synchronous run with replacements is one run, on any executor and any number of slots."""
    kinds = [
        ramet.InlineExecutor(),
        ramet.InlineExecutor(1),
        ramet.ProcessExecutor(2),
        ramet.SimulatedExecutor(3, spread=1.0),
    ]
    stories = []
    for number, kind in enumerate(kinds):
        told = story(fit(tmp_path / str(number), kind).experiment_path)
        # The traceback of a final failure names frames that differ by executor.
        told["events"] = [(name, {k: v for k, v in what.items() if k != "error"}) for name, what in told["events"]]
        stories.append(told)
    assert stories[1:] == stories[:1] * 3


def test_with_nobody_left_to_clone_the_run_ends(tmp_path):
    """When everybody fails for good, nobody is replaced, and the run says why they failed."""

    def hopeless(config):
        raise FloatingPointError("diverged")

    results = fit(tmp_path, function=hopeless)
    assert results.num_errors == 6
    assert "diverged" in str(results.errors[0])


def test_a_strategy_that_cannot_clone_is_refused():
    """Replacing needs somebody who knows whom to clone: said before anything starts."""
    with pytest.raises(ConfigError, match=r"exhausted='replace'\) needs a scheduler that clones, and FIFO"):
        ramet.Tuner(brittle, run_config=ramet.RunConfig(failure_config=ramet.FailureConfig(exhausted="replace")))
