"""Scripts written for Ray Tune run unchanged on the stand-in, and what it lacks is refused by its name.

Each script runs in an interpreter of its own, as users run it, so that no test sees what another one put into
``sys.modules``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ramet
from ramet.compat.ray_names import INSTEAD, NAMES

SCRIPTS = Path(__file__).parent / "scripts"
RAY_STYLE = "from ray import tune\n"


@pytest.fixture
def python(tmp_path):
    """Return a function that runs the interpreter with arguments in a folder of the test's own."""

    def run(*arguments, folder=tmp_path):
        environment = dict(os.environ, RAMET_RUNS=str(tmp_path / "runs"), PYTHONWARNINGS="error")
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


@pytest.fixture
def ray(python):
    """Return a function that runs a script on the stand-in."""

    def run(*arguments, **options):
        return python("-m", "ramet.compat.ray", *arguments, **options)

    return run


@pytest.fixture
def script(tmp_path, ray):
    """Return a function that writes a script and runs it on the stand-in."""

    def run(text, *arguments):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return ray(path, *arguments)

    return run


def output(run):
    """Return what a run printed; it must have ended well, and not have complained."""
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout


# ---------------------------------------------------------------------- whole scripts


def test_a_script_in_the_newer_style_trains_a_population(ray, tmp_path):
    """Reports, checkpoint directories, stop and results of a current script mean here what they mean in Ray."""
    told = json.loads(output(ray(SCRIPTS / "ray_new_style.py", "--steps", "12")))

    assert told["errors"] == 0
    assert told["rows"] == [12] * 4
    assert (told["last"]["training_iteration"], told["last"]["step"]) == (12, 12)
    assert told["saved"] == {"height": told["last"]["height"], "step": 12}
    grid = ramet.ResultGrid(tmp_path / "runs" / "climbers")
    assert {step.member for step in grid[0].lineage} != {0}, "the slowest never became a clone"
    assert [result.metrics["where/trial"] for result in grid] == ["00000", "00001", "00002", "00003"]


def test_a_script_in_the_older_styles_trains_with_a_module_of_its_own(ray, tmp_path):
    """``ray.air``, dicts as checkpoints, reports by keyword, and a module that imports Ray itself work in workers."""
    told = output(ray(SCRIPTS / "ray_old_style.py"))

    assert told.splitlines() == ["models: [6, 6, 6]", "grades: [9, 16] {'a': 2, 'b': 8}"]
    assert len(list((tmp_path / "old_runs").iterdir())) == 1


def test_modules_of_ray_may_be_used_in_workers_by_any_name(script):
    """A function of ``__main__`` reaches every module of Ray that it names, in whichever form it was imported."""
    told = output(
        script(
            """
            import ray
            import ray.tune as rt
            from ray import air, train, tune
            from ray.air import session
            from ray.tune import report as tell, TuneError

            def train_function(config):
                ranks = [session.get_world_rank(), session.get_local_rank(), session.get_node_rank()]
                sizes = [session.get_world_size(), session.get_local_world_size()]
                names = [session.get_trial_id(), session.get_trial_name(), session.get_experiment_name()]
                here = train.get_context()
                assert [here.get_world_rank(), here.get_world_size()] == [0, 1]
                assert names == [here.get_trial_id(), here.get_trial_name(), here.get_experiment_name()]
                assert ray.tune.get_checkpoint() is session.get_checkpoint() is None
                assert air.Checkpoint is tune.Checkpoint
                tell({"ranks": ranks, "sizes": sizes, "names": names}, checkpoint=rt.Checkpoint.from_dict({}))

            results = tune.Tuner(train_function, run_config=air.RunConfig(name="here", verbose=0)).fit()
            assert not results.errors, results.errors
            print([results[0].metrics[name] for name in ("ranks", "sizes", "names")])
            """
        )
    )

    assert told == "[[0, 0, 0], [1, 1], ['00000', '00000', 'here']]\n"


def test_callbacks_written_for_ray_are_called(script):
    """A callback sees each trial's results, their ends and the run's; the configuration is that of the report."""
    told = output(
        script(
            """
            from ray import tune
            from ray.tune.experiment import Trial

            class Tell(tune.Callback):
                def __init__(self, word):
                    self.word = word

                def setup(self, **info):
                    print(self.word, "setup", info["total_num_samples"])

                def on_trial_result(self, iteration, trials, trial, result, **info):
                    assert isinstance(trial, Trial) and trial in trials and trial.last_result == result
                    assert result["x"] == result["config"]["x"] == trial.config["x"]
                    print(iteration, result["trial_id"], result["training_iteration"], trial.status)

                def on_trial_complete(self, iteration, trials, trial, **info):
                    print(trial, trial.status)

                def on_trial_error(self, iteration, trials, trial, **info):
                    print(trial, trial.status)

                def on_experiment_end(self, trials, **info):
                    print("end", [t.status for t in trials])

            def train_function(config):
                tune.report({"x": config["x"]})
                if config["x"]:
                    raise ValueError("as planned")

            tune.Tuner(
                train_function,
                param_space={"x": tune.grid_search([0, 1])},
                tune_config=tune.TuneConfig(max_concurrent_trials=1),
                run_config=tune.RunConfig(callbacks=[Tell("hello")], verbose=0),
            ).fit()
            """
        )
    )

    assert told.splitlines() == [
        "hello setup 2",
        "1 00000 1 RUNNING",
        "00000 TERMINATED",
        "2 00001 1 RUNNING",
        "00001 ERROR",
        "end ['TERMINATED', 'ERROR']",
    ]


def test_a_callback_follows_the_configuration_that_a_trial_takes_over(script):
    """After an exploit a callback sees the trial's new configuration, and for the last report before it the old one."""
    told = output(
        script(
            """
            from ray import tune
            from ray.tune.schedulers import PopulationBasedTraining

            class Check(tune.Callback):
                seen = set()

                def on_trial_result(self, iteration, trials, trial, result, **info):
                    self.seen.add(trial.trial_id)
                    assert result["x"] == result["config"]["x"], result

                def on_experiment_end(self, trials, **info):
                    print(sorted(self.seen))

            def train_function(config):
                while True:
                    tune.report({"x": config["x"]}, checkpoint=tune.Checkpoint.from_dict({"a": 1}))

            pbt = PopulationBasedTraining("training_iteration", perturbation_interval=1, synch=True,
                                          hyperparam_mutations={"x": tune.uniform(0, 9)})
            tune.Tuner(
                train_function,
                tune_config=tune.TuneConfig("max", "x", scheduler=pbt, num_samples=4),
                run_config=tune.RunConfig(callbacks=[Check()], verbose=0, stop={"training_iteration": 9}),
            ).fit()
            """
        )
    )

    assert told == "['00000', '00001', '00002', '00003']\n"


# ---------------------------------------------------------------------- names


def test_every_name_of_the_table_can_be_imported(script):
    """Each module has the names that it says it has, by ``from … import *`` too, and no other, as ``hasattr`` knows."""
    output(
        script(
            """
            import importlib
            from ramet.compat.ray_names import NAMES

            for name in NAMES:
                module, everything = importlib.import_module(name), {}
                exec(f"from {name} import *", everything)
                assert set(everything) - {"__builtins__"} == set(module.__all__) == set(dir(module)), name
                assert {n for n in NAMES[name] if not n.startswith("__")} <= set(module.__all__), name
                assert not hasattr(module, "missing") and not hasattr(module, "__wrapped__")
                assert module.__spec__.name == module.__name__ == name and module.__doc__
            import ray
            assert tuple(map(int, ray.__version__.split("+")[0].split("."))) >= (2, 7)
            """
        )
    )


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        (
            "from ray.tune.schedulers import HyperBandScheduler",
            "ImportError",
            "ray.tune.schedulers.HyperBandScheduler FIFOScheduler PB2 PopulationBasedTraining",
        ),
        (
            "from ray.tune.schedulers import ASHAScheduler",
            "ImportError",
            "ray.tune.schedulers.ASHAScheduler FIFOScheduler",
        ),
        (
            "from ray.tune.schedulers.hyperband import X",
            "ModuleNotFoundError",
            "ray.tune.schedulers.hyperband FIFOScheduler",
        ),
        ("from ray.tune.search.bayesopt import BayesOptSearch", "ModuleNotFoundError", "ray.tune.search.bayesopt"),
        ("from ray.air import ScalingConfig", "ImportError", "ray.air.ScalingConfig with_resources RunConfig"),
        ("from ray.train import ScalingConfig", "ImportError", "ray.train.ScalingConfig with_resources RunConfig"),
        ("from ray.air.integrations.wandb import WandbLoggerCallback", "ModuleNotFoundError", "ray.air.integrations"),
        ("from ray.train.torch import TorchTrainer", "ModuleNotFoundError", "ray.train.torch RunConfig"),
        ("from ray import tune, serve", "ImportError", "ray.serve"),
        ("import ray.rllib", "ModuleNotFoundError", "ray.rllib"),
        ("import ray.data as data", "ModuleNotFoundError", "ray.data"),
        ("from ray.tune import Trainable", "ImportError", "ray.tune.Trainable function"),
        ("tune.run(print)", "AttributeError", "ray.tune.run Tuner fit"),
        ("tune.choise([1])", "AttributeError", "ray.tune.choise choice"),
        ("import ray; ray.remote", "AttributeError", "ray.remote init tune"),
        ("import ray; ray.data", "AttributeError", "ray.data tune"),
        ("tune.get_context().get_trial_dir()", "AttributeError", "get_trial_dir get_trial_id"),
        (
            "import pbt_visualization_utils as u; u.animate",
            "AttributeError",
            "pbt_visualization_utils.animate plot_Q_history",
        ),
    ],
)
def test_an_unknown_name_is_refused_by_its_name(script, statement, kind, words):
    """The last line of the traceback names what is asked for, and what there is instead."""
    run = script(RAY_STYLE + statement)
    told = run.stderr.splitlines()[-1]

    assert run.returncode == 1
    error, _, text = told.partition(": ")
    assert error == kind or (kind, error) == ("ImportError", "ModuleNotFoundError"), run.stderr
    assert [word for word in ["Ramet", *words.split()] if word not in text] == [], told


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("tune.TuneConfig(metric='a', mode='max', samples=8)", "TuneConfig samples"),
        ("tune.TuneConfig(search_alg='bohb')", "TuneConfig search_alg"),
        ("tune.RunConfig(storage_filesystem='s3')", "RunConfig storage_filesystem"),
        ("tune.RunConfig(storage_path='s3://')", "storage_path"),
        ("tune.RunConfig(worker_runtime_env={})", "RunConfig worker_runtime_env"),
        ("tune.RunConfig(verbose='loud')", "RunConfig verbose"),
        ("tune.FailureConfig(controller_failure_limit=3)", "FailureConfig controller_failure_limit"),
        ("tune.CheckpointConfig(checkpoint_frequency=5)", "CheckpointConfig checkpoint_frequency"),
        ("tune.Tuner(print, resources={})", "Tuner resources"),
        ("tune.Tuner('PPO')", "Tuner PPO"),
        ("tune.report()", "report"),
        ("tune.report({'a': 1}, loss=0.1)", "report loss"),
        (
            "BasicVariantGenerator(points_to_evaluate=[{'lr': 0.1}])",
            "BasicVariantGenerator points_to_evaluate param_space",
        ),
        ("PopulationBasedTraining(quantile=0.5)", "PopulationBasedTraining quantile"),
        ("type('Mine', (tune.Callback,), {'on_step_begin': print})", "Mine.on_step_begin on_trial_result"),
    ],
)
def test_an_argument_that_is_not_here_is_refused_by_its_name(script, expression, words):
    """What Ray takes and Ramet does not is an error that names the class and the argument, before any work starts."""
    imports = (
        "from ray.tune.search import BasicVariantGenerator\nfrom ray.tune.schedulers import PopulationBasedTraining\n"
    )
    run = script(RAY_STYLE + imports + expression)
    told = run.stderr.splitlines()[-1]

    assert run.returncode == 1
    assert [word for word in words.split() if word not in told] == [], told


def test_configurations_take_rays_arguments_in_rays_order(script):
    """Positional arguments, older names, and objects that say the same in other words end up where Ramet keeps them."""
    output(
        script(
            """
            import ray
            from ray import air, tune
            from ray.tune.experimental.output import AirVerbosity
            from ray.tune.schedulers import FIFOScheduler
            from ray.tune.search import BasicVariantGenerator

            generator = BasicVariantGenerator(random_state=3, max_concurrent=2)
            config = tune.TuneConfig("min", "loss", generator, FIFOScheduler(), 5)
            told = config.metric, config.mode, config.seed, config.max_concurrent_trials, config.num_samples
            assert told == ("loss", "min", 3, 2, 5), told
            assert tune.TuneConfig(search_alg=BasicVariantGenerator(random_state=3), seed=4).seed == 4

            reporter = tune.CLIReporter(metric_columns=["loss"], max_report_frequency=20)
            reporter.add_metric_column("accuracy")
            run = air.RunConfig("me", None, None, None, None, local_dir="here", verbose=AirVerbosity.SILENT,
                                progress_reporter=reporter, log_to_file=False, sync_config=None)
            assert (run.name, run.storage_path, run.verbose) == ("me", "here", 0)
            assert tune.RunConfig is air.RunConfig is ray.train.RunConfig is air.config.RunConfig

            ray.init("local", num_cpus=3, num_gpus=0, logging_level="error", runtime_env={}, namespace="n")
            assert ray.is_initialized()
            ray.shutdown()
            assert not ray.is_initialized()
            """
        )
    )


def test_what_to_do_instead_is_said_of_names_that_are_not_here():
    """No advice is given for a name that the stand-in has."""
    assert [name for name in INSTEAD if name.rpartition(".")[2] in NAMES[name.rpartition(".")[0]]] == []


# ---------------------------------------------------------------------- the tutorial's module


def test_the_tutorials_module_is_provided_where_there_is_none(script, tmp_path):
    """A module of that name beside the script comes first; without one there is Ramet's, in workers too."""
    text = """
        from pbt_visualization_utils import get_init_theta
        from ray import tune

        def train_function(config):
            tune.report({"theta": get_init_theta().tolist()})

        print(tune.Tuner(train_function, run_config=tune.RunConfig(verbose=0)).fit()[0].metrics["theta"])
        """
    told = output(script(text))
    (tmp_path / "pbt_visualization_utils.py").write_text("import numpy\nget_init_theta = lambda: numpy.zeros(3)\n")

    assert told == "[0.9, 0.9]\n"
    assert output(script(text)) == "[0.0, 0.0, 0.0]\n"


def test_the_tutorials_pictures_are_drawn(script):
    """Both functions of the tutorial draw into the axes that they are given."""
    output(
        script(
            """
            import matplotlib
            matplotlib.use("Agg")
            import matplotlib.pyplot as plt
            from ray import tune
            from pbt_visualization_utils import plot_parameter_history, plot_Q_history

            def train_function(config):
                for step in range(4):
                    tune.report({"theta0": config["x"] * step, "theta1": 1 - step / 10, "Q": step})

            results = tune.Tuner(train_function, param_space={"x": tune.grid_search([0.1, 0.2])},
                                 tune_config=tune.TuneConfig(metric="Q", mode="max"),
                                 run_config=tune.RunConfig(verbose=0)).fit()
            _, (left, right) = plt.subplots(1, 2)
            plot_parameter_history(results, ["black", "red"], ["a", "b"], perturbation_interval=2, ax=left)
            plot_Q_history(results, ["black", "red"], ["a", "b"], ax=right)
            assert left.has_data() and right.has_data()
            """
        )
    )


# ---------------------------------------------------------------------- the runner


def test_without_a_script_the_runner_says_how_it_is_used(ray):
    """No arguments are an error; --help is the runner's only before the script."""
    nothing, asked = ray(), ray("--help")

    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert nothing.stderr == asked.stdout
    assert asked.stdout.startswith("usage: python -m ramet.compat.ray SCRIPT")


@pytest.mark.parametrize("name", ["missing.py", ".", "--smoke-test"])
def test_a_script_that_cannot_be_read_is_one_line(ray, name):
    """The line names the file; the status is that of Python."""
    run = ray(name)

    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert repr(name) in run.stderr


def test_a_script_sees_itself_as_under_plain_python(python, ray, tmp_path):
    """Arguments, path, module and compiler flags are those of ``python SCRIPT ARGS``; the current folder comes last."""
    (tmp_path / "beside").mkdir()
    path = tmp_path / "beside" / "script.py"
    path.write_text(
        "import atexit, sys\n"
        "def late():\n"
        "    import __main__\n"
        "    print(__main__.__dict__ is globals(), __main__.late is late)\n"
        "atexit.register(late)\n"
        "def noted(a: int): ...\n"
        "print(sys.argv, sys.path[0], __name__, __file__, __package__, __spec__, noted.__annotations__, __doc__)\n"
    )
    plain, ours = python("beside/script.py", "--help", "x"), ray("beside/script.py", "--help", "x")
    path.write_text("import sys\nprint(sys.path[-1])")

    assert output(ours) == output(plain)
    assert output(ray("beside/script.py")) == f"{tmp_path}\n"


def test_modules_beside_the_script_and_where_the_user_stands_are_found(ray, tmp_path):
    """The script's folder comes first, the current one last; workers find both."""
    for folder in ("beside", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both.py").write_text(f"where = {folder!r}\n")
        (tmp_path / folder / f"{folder}_alone.py").write_text("def see():\n    import both\n    return both.where\n")
    (tmp_path / "beside" / "script.py").write_text(
        "from ray import tune\nimport beside_alone, here_alone\n"
        "def train_function(config):\n    tune.report({'seen': beside_alone.see() + ' ' + here_alone.see()})\n"
        "grid = tune.Tuner(train_function, run_config=tune.RunConfig(verbose=0)).fit()\n"
        "print(grid[0].metrics['seen'])\n"
    )

    assert output(ray("../beside/script.py", folder=tmp_path / "here")) == "beside beside\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [("raise SystemExit(7)", 7, ""), ("import sys; sys.exit('no')", 1, "no\n"), ("pass", 0, "")],
)
def test_the_exit_status_is_the_scripts(script, text, status, told):
    """What a script exits with goes through."""
    run = script(text)

    assert (run.returncode, run.stderr) == (status, told)


@pytest.mark.parametrize("text", ["def f():\n    1 / 0\nf()\n", "x = = 1\n", "import json\njson.loads('{')\n"])
def test_a_traceback_is_the_one_of_plain_python(python, script, tmp_path, text):
    """An error of the script is told as if Ramet were not there."""
    ours = script(text)
    plain = python(tmp_path / "script.py")

    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout) == (1, "")
    assert ours.stderr == plain.stderr


# ---------------------------------------------------------------------- who sees the stand-in


def test_importing_ramet_brings_no_ray(python):
    """Neither Ray's names nor the stand-in are loaded by the library, not even by a whole run."""
    code = """
        import sys, ramet
        def train(config):
            ramet.report({"ray": int("ray" in sys.modules), "compat": int("ramet.compat" in sys.modules)})
        if __name__ == "__main__":
            metrics = ramet.Tuner(train, run_config=ramet.RunConfig(verbose=0)).fit()[0].metrics
            print(metrics["ray"], metrics["compat"], [m for m in sys.modules if {"ray", "compat"} & {*m.split(".")}])
        """

    assert output(python("-c", textwrap.dedent(code))) == "0 0 []\n"


def test_only_installing_shadows_the_real_ray(python, ray, tmp_path):
    """Importing the module leaves the real Ray alone; ``install`` replaces it, or says that it is too late."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("real = True\n")
    (tmp_path / "script.py").write_text("import ray\nprint(hasattr(ray, 'real'), ray.tune.__name__)\n")
    quiet = python("-c", "import ramet.compat.ray, ray; print(ray.real)")
    twice = python("-c", "from ramet.compat.ray import install; install(); install(); import ray; print(ray)")
    late = python("-c", "import ray, ramet.compat.ray; ramet.compat.ray.install()")

    assert output(quiet) == "True\n"
    assert output(twice) == "<module 'ray' (ramet.compat.ray)>\n"
    assert output(ray("script.py")) == "False ray.tune\n"
    assert late.returncode == 1
    assert "the real Ray is imported already" in late.stderr


def test_a_run_is_restored_by_rays_names(script, tmp_path):
    """A script that restores what can be restored, as Ray's guide has it, begins a run and then goes on with it."""
    text = """
        import os, sys
        from ray import tune
        from ray.tune import Checkpoint, FailureConfig, RunConfig, Tuner
        from ray.tune.schedulers import PopulationBasedTraining
        import tempfile

        def trainable(config):
            step = 0
            if tune.get_checkpoint():
                with tune.get_checkpoint().as_directory() as folder:
                    step = int(open(os.path.join(folder, "step")).read())
            while True:
                step += 1
                if step == 7 and not os.path.exists("mended"):
                    raise RuntimeError("not yet")
                with tempfile.TemporaryDirectory() as folder:
                    open(os.path.join(folder, "step"), "w").write(str(step))
                    tune.report({"step": step}, checkpoint=Checkpoint.from_directory(folder))

        path = os.path.join(os.environ["RAMET_RUNS"], "again")
        if Tuner.can_restore(path):
            tuner = Tuner.restore(path, trainable=trainable, resume_errored=True)
        else:
            tuner = Tuner(
                trainable,
                param_space={"lr": tune.uniform(0, 1)},
                tune_config=tune.TuneConfig(metric="step", mode="max", num_samples=2),
                run_config=RunConfig(name="again", stop={"training_iteration": 10}, verbose=0),
            )
        results = tuner.fit()
        print(results.num_errors, [result.metrics and result.metrics["step"] for result in results])
    """
    assert "2 [6, 6]" in script(text).stdout
    (tmp_path / "mended").touch()
    assert output(script(text)) == "0 [10, 10]\n"
