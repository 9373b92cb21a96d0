"""What cannot be rows of one program is refused by name, before anything is written."""

import pickle

import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from vectors import WALK, happened, init, pbt, step, tuner  # noqa: E402

import ramet  # noqa: E402
from ramet.errors import ConfigError, TrainableError  # noqa: E402


def eight(key, hparams):
    return jnp.zeros(8)


def wide(key, hparams):
    return jnp.zeros(hparams["width"])


def summed(state, hparams, key):
    return state, {"score": state.sum()}


def branches(state, hparams, key):
    return (state + 1 if hparams["lr"] > 0.5 else state), {"score": state.sum()}


RATE = {"lr": ramet.uniform(0.0, 1.0)}
WIDTHS = {"width": ramet.choice([4, 8])}

REFUSED = {
    "a width that differs": (wide, summed, WIDTHS | RATE, "members differ in 'width'.*shape or a branch.*mask"),
    "a branch on a rate": (eight, branches, RATE, "members differ in 'lr'.*TracerBoolConversionError.*jax.numpy.where"),
    "a text that differs": (eight, summed, {"act": ramet.choice(["relu", "tanh"])}, "'act' is.*Number the choices"),
    "a state that changes shape": (eight, lambda s, h, k: (s[:4], {"score": s.sum()}), {}, "state like that of init"),
    "a state that changes type": (eight, lambda s, h, k: (s > 0, {"score": s.sum()}), {}, "state like that of init"),
    "a metric of many numbers": (eight, lambda s, h, k: (s, {"score": s}), {}, r"'score' is an array of shape \(8,\)"),
    "metrics that are no dict": (eight, lambda s, h, k: (s, 3), {}, "not a dict"),
    "an empty dict of metrics": (eight, lambda s, h, k: (s, {}), {}, "at least one number"),
    "a complex metric": (eight, lambda s, h, k: (s, {"score": s.sum() + 1j}), {}, "'score' is of type complex64"),
    "a key as metric": (eight, lambda s, h, k: (s, {"score": s.sum(), "key": k}), {}, "'key' is of type key"),
    "no metrics": (eight, lambda s, h, k: s, {}, "cannot be trained as rows of one program"),
    "a function of one argument": (lambda key: jnp.zeros(8), summed, {}, "takes 1 positional argument"),
    "a function that fails": (lambda key, hparams: 1 / 0, summed, {}, r"ZeroDivisionError.*at test_vector_refusals.py"),
    "a state of text": (lambda key, hparams: {"a": "x"}, lambda s, h, k: (s, {"score": 0.0}), {}, "JAX type"),
    "the metric is not there": (eight, lambda s, h, k: (s, {"other": s.sum()}), {}, "score"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_functions_that_cannot_be_mapped_are_refused(tmp_path, name):
    """Whatever keeps functions from being rows is told with its reason and a way out, and no folder has been made."""
    begin, train, space, words = REFUSED[name]
    trainable = ramet.VectorTrainable(begin, train)
    with pytest.raises((TrainableError, ConfigError), match=f"(?s){words}"):
        tuner(tmp_path / "run", trainable=trainable, scheduler=ramet.FIFO(), space=space, pairs=4).fit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("space", [{"width": 8, "lr": ramet.uniform(0.0, 1.0)}, {"width": 8, "act": "relu"}])
def test_what_all_members_have_in_common_may_decide_shapes(tmp_path, space):
    """A width, or a name, that is the same for all is given as it stands."""
    results = tuner(tmp_path / "run", trainable=ramet.VectorTrainable(wide, summed), scheduler=ramet.FIFO(),
                    space=space, stop=1).fit()  # fmt: skip
    assert results.errors == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"rows": 0}, "rows=0.*at least 1"),
        ({"rows": 2.0}, "rows=2.0"),
        ({"rows": True}, "rows=True"),
        ({"checkpoint_every": 0}, "checkpoint_every=0.*at least 1"),
        ({"checkpoint_every": None}, "checkpoint_every=None"),
    ],
)
def test_arguments_of_the_executor_are_checked(arguments, words):
    """A number of rows or of decision points is a whole one above 0."""
    with pytest.raises(ConfigError, match=words):
        ramet.VectorExecutor(**arguments)


@pytest.mark.parametrize("devices", [0, 99, [], ["cpu"], [None]])
def test_devices_that_are_not_there_are_refused(tmp_path, devices):
    """Devices that JAX does not have are refused before anything is written."""
    with pytest.raises(ConfigError, match="VectorExecutor\\(devices="):
        tuner(tmp_path / "run", ramet.VectorExecutor(devices=devices)).fit()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((None, step), TrainableError, "init=None"),
        ((init, "step"), TrainableError, "step='step'"),
        ((init, step, 3), TrainableError, "evaluate=3"),
    ],
)
def test_a_vector_trainable_is_made_of_functions(arguments, error, words):
    """What is no function is refused where it is given."""
    with pytest.raises(error, match=words):
        ramet.VectorTrainable(*arguments)


@pytest.mark.parametrize("given", [{"steps_per_report": 0}, {"steps_per_report": True}, {"framework": "mlx"}])
def test_settings_of_a_vector_trainable_are_checked(given):
    """Steps are counted from 1 on, and frameworks are two."""
    with pytest.raises(ConfigError, match=next(iter(given))):
        ramet.VectorTrainable(init, step, **given)


def plain(config):
    ramet.report({"score": 1.0})


@pytest.mark.parametrize(
    ("trainable", "words"),
    [
        (plain, "cannot train the function plain.*VectorTrainable"),
        (ramet.with_parameters(WALK, data=[1, 2]), "data.*with_parameters"),
    ],
)
def test_only_a_vector_trainable_is_trained_in_rows(tmp_path, trainable, words):
    """A function of the configuration, or one with parameters bound to it, is refused with the way out."""
    with pytest.raises((ConfigError, TrainableError), match=f"(?s){words}"):
        tuner(tmp_path / "run", ramet.VectorExecutor(), trainable=trainable).fit()
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_in_the_state_are_refused(tmp_path):
    """A name of weights that no part of the state has is a misspelling, and told with those that there are."""
    trainable = ramet.VectorTrainable(init, step, weights=("params", "parms/w"))
    with pytest.raises(ConfigError, match=r"(?s)weights=.*'parms/w'.*params/w"):
        tuner(tmp_path / "run", trainable=trainable).fit()
    assert list(tmp_path.iterdir()) == []


def test_fewer_members_at_once_are_a_matter_of_rows(tmp_path):
    """max_concurrent_trials is refused, for all rows train in one dispatch, and the message names rows=."""
    with pytest.raises(ConfigError, match=r"(?s)max_concurrent_trials=2.*VectorExecutor\(rows=2\)"):
        tuner(tmp_path / "run", tune={"max_concurrent_trials": 2}).fit()
    assert list(tmp_path.iterdir()) == []
    results = tuner(tmp_path / "run", tune={"max_concurrent_trials": 6}, stop=3).fit()
    assert results.errors == []


def test_a_time_limit_for_reports_needs_another_executor(tmp_path):
    """A dispatch cannot be ended, so that report_timeout_s is refused."""
    with pytest.raises(ConfigError, match="VectorExecutor cannot"):
        tuner(tmp_path / "run", failure_config=ramet.FailureConfig(report_timeout_s=5)).fit()


@pytest.mark.parametrize(
    ("executor", "told"),
    [
        (ramet.VectorExecutor(3, devices=1), "VectorExecutor(rows=3, devices=1, checkpoint_every=10)"),
        (ramet.VectorExecutor(devices=jax.devices()), "VectorExecutor(checkpoint_every=10)"),
    ],
)  # fmt: skip
def test_an_executor_is_pickled_as_its_arguments(executor, told):
    """What is pickled with the settings of a run is how it was made; devices of a process are not of the next."""
    assert repr(pickle.loads(pickle.dumps(executor))) == told


def test_a_run_is_taken_up_by_the_executor_that_it_had(tmp_path):
    """Restored without an executor, a run goes on in the kind that it was set up with, rows and all."""
    first = tuner(tmp_path / "run", ramet.VectorExecutor(rows=2, checkpoint_every=3), stop=4).fit()
    again = ramet.Tuner.restore(first.experiment_path, WALK, stop={"training_iteration": 7})
    assert repr(again.run.executor) == "VectorExecutor(rows=2, checkpoint_every=3)"
    assert [result.iteration for result in again.fit()] == [7] * 6


def test_a_vector_trainable_needs_no_executor_named(tmp_path):
    """By default a VectorTrainable is trained in rows."""
    tuned = ramet.Tuner(WALK)
    assert type(tuned._executor()).__name__ == "VectorExecutor"


def wild(config):
    """Set a hyperparameter that is no array."""
    return {**config, "spread": 2} if config["lr"] > 0.02 else config


def test_a_constant_that_changes_fails_the_member_alone(tmp_path):
    """A hyperparameter that became another one without being mutable fails that member with its name."""
    space = {"lr": ramet.loguniform(1e-3, 0.5), "spread": 1, "pace": 1}
    results = tuner(tmp_path / "run", scheduler=pbt(2, custom_explore_fn=wild), space=space, pairs=6, stop=6).fit()
    assert 0 < len(results.errors) < 6
    assert all("'spread' became 2" in str(error) for error in results.errors)
    others = [result for result in results if result.state == "finished"]
    assert [result.iteration for result in others] == [6] * len(others)


def test_a_member_that_failed_before_a_resume_can_be_replaced_after_it(tmp_path):
    """Where a run is taken up with failed members, there is a row for each of them that becomes a clone."""
    space = {"lr": ramet.loguniform(1e-3, 0.5), "spread": 1, "pace": 1}
    scheduler = pbt(2, custom_explore_fn=wild, quantile_fraction=0.5)
    first = tuner(tmp_path / "run", scheduler=scheduler, space=space, pairs=6, stop=4).fit()
    lost = [result.member for result in first if result.state == "failed"]
    assert lost
    again = ramet.Tuner.restore(
        first.experiment_path, WALK, stop={"training_iteration": 10},
        failure_config=ramet.FailureConfig(exhausted="replace", max_failures=0),
    ).fit()  # fmt: skip
    late = [
        event for event in happened(again.experiment_path, "Opened") if event.member in lost and event.iteration > 4
    ]
    assert late
    assert all("became 2" in str(error) for error in again.errors)
