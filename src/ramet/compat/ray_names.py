"""What the stand-in for Ray Tune has: by module the names in it, and where in Ramet each of them comes from."""

from __future__ import annotations


def _of(home: str, names: str) -> dict[str, str]:
    """Return name -> "module:attribute"; ``Theirs=Ours`` where the two differ."""
    pairs = [name.partition("=") for name in names.split()]
    return {theirs: f"ramet.{home}:{ours or theirs}" for theirs, _, ours in pairs}


_DRAWS = _of(
    "space",
    "choice grid_search lograndint loguniform qlograndint qloguniform qrandint qrandn quniform randint randn "
    "sample_from uniform",
)
_CONFIGS = _of("compat.ray_config", "RunConfig") | _of("config", "CheckpointConfig FailureConfig SyncConfig")
_SESSION = _of("compat.ray_session", "report") | _of("session", "get_checkpoint")
_CHECKPOINT = _of("checkpoint", "Checkpoint")
_STOPPERS = _of(
    "core.stopping",
    "CombinedStopper ExperimentPlateauStopper FunctionStopper MaximumIterationStopper Stopper TimeoutStopper "
    "TrialPlateauStopper",
)
_PBT = _of("strategy.pbt", "PopulationBasedTraining")
_PB2 = _of("strategy.pb2", "PB2")
_FIFO = _of("strategy.base", "FIFOScheduler=FIFO")
_TUNE_CONFIG = _of("compat.ray_config", "TuneConfig")
_TUNER = _of("tuner", "Tuner")
_CALLBACK = _of("compat.ray_callback", "Callback")
_GRID = _of("results", "ResultGrid")
_RESULT = _of("results", "Result")
_REPORTERS = _of("compat.ray_config", "CLIReporter JupyterNotebookReporter")
_GENERATOR = _of("compat.ray_config", "BasicVariantGenerator")
_ERROR = _of("errors", "TuneError=RametError")

NAMES: dict[str, dict[str, str]] = {
    "ray": _of("compat.ray_session", "__version__=VERSION init") | _of("resources", "is_initialized shutdown"),
    "ray.tune": {
        **_DRAWS,
        **_CONFIGS,
        **_SESSION,
        **_CHECKPOINT,
        **_of("compat.ray_session", "get_context TuneContext=Context"),
        **_of("trainable", "with_parameters with_resources"),
        **_of("core.stopping", "Stopper"),
        **(_TUNER | _TUNE_CONFIG | _GRID | _RESULT | _CALLBACK | _REPORTERS | _ERROR),
    },
    "ray.tune.callback": _CALLBACK,
    "ray.tune.error": _ERROR,
    "ray.tune.experiment": _of("compat.ray_callback", "Trial"),
    "ray.tune.experimental": {},
    "ray.tune.experimental.output": _of("compat.ray_config", "AirVerbosity"),
    "ray.tune.progress_reporter": _REPORTERS,
    "ray.tune.result_grid": _GRID,
    "ray.tune.schedulers": _FIFO | _PBT | _PB2,
    "ray.tune.schedulers.pb2": _PB2,
    "ray.tune.schedulers.pbt": _PBT,
    "ray.tune.search": _GENERATOR | _of("space", "grid_search"),
    "ray.tune.search.basic_variant": _GENERATOR,
    "ray.tune.search.sample": _DRAWS | _of("space", "Categorical Domain Float Integer"),
    "ray.tune.stopper": _STOPPERS,
    "ray.tune.tune_config": _TUNE_CONFIG,
    "ray.tune.tuner": _TUNER,
    "ray.train": {
        **_CONFIGS,
        **_SESSION,
        **_CHECKPOINT,
        **_RESULT,
        **_of("compat.ray_session", "get_context TrainContext=Context"),
    },
    "ray.air": _CONFIGS | _CHECKPOINT | _RESULT,
    "ray.air.checkpoint": _CHECKPOINT,
    "ray.air.config": _CONFIGS,
    "ray.air.result": _RESULT,
    "ray.air.session": _SESSION
    | _of(
        "compat.ray_session",
        "get_experiment_name get_local_rank get_local_world_size get_node_rank get_trial_id get_trial_name "
        "get_world_rank get_world_size",
    ),
    # Imported by the tutorial "Visualizing Population Based Training", which does not print it.
    "pbt_visualization_utils": _of("compat.ray_tutorial", "get_init_theta plot_parameter_history plot_Q_history"),
}

INSTEAD = {
    "ray.air.ScalingConfig": "give tune.with_resources(function, {'cpu': …, 'gpu': …}) instead",
    "ray.air.config.ScalingConfig": "give tune.with_resources(function, {'cpu': …, 'gpu': …}) instead",
    "ray.train.ScalingConfig": "give tune.with_resources(function, {'cpu': …, 'gpu': …}) instead",
    "ray.tune.PlacementGroupFactory": "give tune.with_resources(function, {'cpu': …, 'gpu': …}) instead",
    "ray.tune.Trainable": "write the training as a function that calls tune.report instead",
    "ray.tune.checkpoint_dir": "pass checkpoint= to tune.report, and read tune.get_checkpoint(), instead",
    **dict.fromkeys(
        (
            "ray.tune.schedulers.ASHAScheduler",
            "ray.tune.schedulers.AsyncHyperBandScheduler",
            "ray.tune.schedulers.async_hyperband",
        ),
        "ramet.ASHA does the same for functions that report checkpoints, which it decides at",
    ),
    "ray.tune.schedulers.PopulationBasedTrainingReplay": "give ramet.ScheduleReplay(result.schedule) to TuneConfig "
    "instead: there is no policy file, a run's folder holds every schedule",
    "ray.tune.run": "call tune.Tuner(…).fit() instead",
}
"""What to do without a name that is not here, where that is known."""
