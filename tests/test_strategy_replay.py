"""ScheduleReplay: a recorded schedule trains another model."""

import json

import pytest

import ramet
from ramet.errors import ConfigError
from ramet.schedule import Schedule, Step
from ramet.space import Space


def train(config):
    """Add up h, and tell all that was in force."""
    checkpoint = ramet.get_checkpoint()
    total = checkpoint.to_dict()["total"] if checkpoint else 0.0
    while True:
        total += config["h"]
        saved = ramet.should_checkpoint() or config.get("always")
        ramet.report(
            {"score": total, "h": config["h"], "data": config.get("data", 0)},
            checkpoint=ramet.Checkpoint.from_dict({"total": total}) if saved else None,
        )


def run(tmp_path, scheduler, stop=20, metric="score", num_samples=1, param_space=None, train=train, executor="inline"):
    return ramet.Tuner(
        train,
        param_space=param_space,
        tune_config=ramet.TuneConfig(
            metric=metric, mode=metric and "max", scheduler=scheduler, num_samples=num_samples, seed=0
        ),
        run_config=ramet.RunConfig(
            executor=executor, verbose=0, storage_path=str(tmp_path), stop={"training_iteration": stop}
        ),
    ).fit()


@pytest.fixture
def searched(tmp_path):
    """Returns a run of population based training, whose best member's schedule has several steps."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"h": ramet.uniform(0.0, 1.0)},
        synch=True,
    )
    return run(
        tmp_path, scheduler, num_samples=6, param_space={"h": ramet.uniform(0.0, 0.2), "always": True, "data": 1}
    )


def test_private_keys_stay_whatever_they_are():
    """Also where that is None: nothing of the schedule comes in its place."""
    replay = ramet.ScheduleReplay([(1, {"h": 0.1, "seed": 5})], private=["seed"])
    space = Space({"h": 0.0, "seed": None}, {})
    assert replay.founders([{"h": 0.0, "seed": None}], space, 0) == [{"h": 0.1, "seed": None}]


def test_a_replay_trains_the_same_model(searched, tmp_path):
    """From a result, a run's folder or a file: under the schedule of the best member its score is reached again."""
    best = searched.get_best_result()
    assert len(best.schedule) > 2
    path = best.schedule.save(tmp_path / "best.json")
    for schedule in (best.schedule, Schedule.load(searched.experiment_path), Schedule.load(path)):
        replayed = run(tmp_path, ramet.ScheduleReplay(schedule), metric=None)[0]
        assert replayed.metrics["score"] == best.metrics["score"]
        assert list(replayed.metrics_dataframe["h"]) == list(best.lineage_dataframe["h"])


def test_boundaries_are_exact(tmp_path):
    """Hyperparameters change at exactly the iterations of the schedule, whether or not checkpoints come between."""
    schedule = [(1, {"h": 0.0}), (4, {"h": 1.0}), (5, {"h": 2.0}), (11, {"h": 3.0})]
    for always in (False, True):
        frame = run(tmp_path, ramet.ScheduleReplay(schedule), param_space={"always": always})[0].metrics_dataframe
        assert list(frame["h"]) == [0.0] * 3 + [1.0] + [2.0] * 6 + [3.0] * 10


def test_what_comes_late_is_said(tmp_path):
    """Where no checkpoint comes in time the change is late, and the summary counts it."""

    def seldom(config):
        checkpoint = ramet.get_checkpoint()
        step = checkpoint.to_dict()["step"] if checkpoint else 0
        while True:
            step += 1
            saved = ramet.Checkpoint.from_dict({"step": step}) if step % 4 == 0 else None
            ramet.report({"score": 0.0, "h": config["h"]}, checkpoint=saved)

    results = run(tmp_path, ramet.ScheduleReplay([(1, {"h": 1.0}), (4, {"h": 2.0}), (9, {"h": 3.0})]), train=seldom)
    assert list(results[0].metrics_dataframe["h"]) == [1.0] * 4 + [2.0] * 4 + [3.0] * 12
    assert results.population.verdicts == {
        ("explore", "late, for no report came with a checkpoint in time"): 1,
        ("explore", "as the schedule says"): 1,
    }


def test_each_member_replays_with_keys_of_its_own(tmp_path):
    """Private keys stay the member's; keys that the schedule lacks come from param_space."""
    schedule = [(1, {"h": 1.0, "data": 9}), (6, {"h": 2.0, "data": 9})]
    results = run(
        tmp_path,
        ramet.ScheduleReplay(schedule, private=["data"]),
        param_space={"data": ramet.grid_search([1, 2, 3]), "always": True},
    )
    assert [result.config for result in results] == [{"h": 2.0, "data": data, "always": True} for data in (1, 2, 3)]
    assert {result.metrics["score"] for result in results} == {5.0 + 15 * 2.0}


def test_a_replay_can_be_taken_up(tmp_path):
    """A replay that was broken off goes on to the end that it would have had."""
    schedule = [(1, {"h": 1.0}), (6, {"h": 2.0}), (12, {"h": 3.0})]
    half = run(tmp_path, ramet.ScheduleReplay(schedule), stop=8, param_space={"always": True})
    whole = ramet.Tuner.restore(half.experiment_path, train, stop={"training_iteration": 20}).fit()
    assert list(whole[0].metrics_dataframe["h"]) == [1.0] * 5 + [2.0] * 6 + [3.0] * 9


def test_one_step_is_plain_training(tmp_path):
    """A schedule of one step never decides anything."""
    replay = ramet.ScheduleReplay([(1, {"h": 1.0})])
    assert not replay.decides
    assert run(tmp_path, replay)[0].metrics["score"] == 20.0


@pytest.mark.parametrize(
    "schedule",
    [None, [], "run", {"h": 1}, [(2, {"h": 1})], [(1, {"h": 1}), (1, {"h": 2})], [(1, {}), (5, {}), (3, {})],
     [(1, 0.5)], [1, 2], [(1.0, {"h": 1})], [("1", {})]],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(schedule):
    """Steps begin at iteration 1 and rise, each with hyperparameters."""
    with pytest.raises(ConfigError, match="schedule"):
        ramet.ScheduleReplay(schedule)


def test_a_schedule_is_saved_and_loaded(tmp_path):
    """What was saved is loaded as it was, nested values too."""
    schedule = Schedule(
        [Step(1, 5, {"opt": {"lr": 0.1}, "layers": [1, 2]}, 0, 0), Step(6, 9, {"opt": {"lr": 0.05}}, 2, 7)]
    )
    assert Schedule.load(schedule.save(tmp_path / "s.json")) == schedule


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 99, "steps": []}', '{"format": 1, "steps": [{"a": 1}]}']
)
def test_what_is_no_saved_schedule_is_refused(tmp_path, content):
    """A file of anything else is told of by its path."""
    (tmp_path / "s.json").write_text(content)
    with pytest.raises(ConfigError, match=r"s\.json"):
        Schedule.load(tmp_path / "s.json")


def test_what_is_not_there_and_whom_a_run_lacks(searched, tmp_path):
    """Neither a file that is missing nor a member that is none has a schedule; each member of a run has."""
    with pytest.raises(ConfigError, match="nothing"):
        Schedule.load(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match="6 members"):
        Schedule.load(searched.experiment_path, member=6)
    assert Schedule.load(searched.experiment_path, member=3) == searched[3].schedule


def test_values_that_json_lacks_are_refused(tmp_path):
    """What cannot be written is said before a file is."""
    with pytest.raises(ConfigError, match="ScheduleReplay"):
        Schedule([Step(1, 2, {"f": object()}, 0, 0)]).save(tmp_path / "s.json")
    assert not (tmp_path / "s.json").exists()


def test_the_record_tells_the_schedule(tmp_path):
    """The run's facts hold the whole schedule as plain data."""
    replay = ramet.ScheduleReplay([(1, {"h": 1.0}), (6, {"h": 2.0})])
    told = replay.describe()
    assert told["schedule"] == [[1, {"h": 1.0}], [6, {"h": 2.0}]]
    assert json.loads(json.dumps(told)) == told
