"""Ray Tune's configuration objects, where they take more than Ramet's own do."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import ramet.config
from ramet.errors import ConfigError


class TuneConfig(ramet.config.TuneConfig):
    """`ramet.TuneConfig`, with the arguments in Ray's order, and `BasicVariantGenerator` for what it says of seeds."""

    def __init__(
        self,
        mode: str | None = None,
        metric: str | None = None,
        search_alg: Any = None,
        scheduler: Any = None,
        num_samples: int = 1,
        **more: Any,
    ) -> None:
        if isinstance(search_alg, BasicVariantGenerator):
            for name, value in search_alg.settings.items():
                if value is not None and more.get(name) is None:
                    more[name] = value
            search_alg = None
        super().__init__(
            metric=metric, mode=mode, search_alg=search_alg, scheduler=scheduler, num_samples=num_samples, **more
        )


class RunConfig(ramet.config.RunConfig):
    """`ramet.RunConfig`, with the arguments in Ray's order, and ``local_dir``, as ``storage_path`` was called once."""

    def __init__(
        self,
        name: str | None = None,
        storage_path: Any = None,
        storage_filesystem: Any = None,
        failure_config: Any = None,
        checkpoint_config: Any = None,
        *,
        local_dir: Any = None,
        **more: Any,
    ) -> None:
        if storage_filesystem is not None:
            raise ConfigError(
                f"RunConfig(storage_filesystem={storage_filesystem!r}): a filesystem is not taken; "
                "give storage_path= as a URL, and leave it out"
            )
        super().__init__(
            name=name,
            storage_path=local_dir if storage_path is None else storage_path,
            failure_config=failure_config,
            checkpoint_config=checkpoint_config,
            **more,
        )


class BasicVariantGenerator:
    """Ray's name for drawing founders at random and from grids, which is what is always done here.

    Args:
        points_to_evaluate, constant_grid_search: not here; only None and False are taken.
        max_concurrent: ``TuneConfig(max_concurrent_trials=…)``.
        random_state: ``TuneConfig(seed=…)``, an integer.
    """

    def __init__(
        self,
        points_to_evaluate: Any = None,
        max_concurrent: int = 0,
        constant_grid_search: bool = False,
        random_state: int | None = None,
    ) -> None:
        if points_to_evaluate or constant_grid_search:
            raise ConfigError(
                f"BasicVariantGenerator(points_to_evaluate={points_to_evaluate!r}, constant_grid_search="
                f"{constant_grid_search!r}): founders are drawn from param_space alone; put given points there, with "
                "grid_search"
            )
        self.settings = {"max_concurrent_trials": max_concurrent or None, "seed": random_state}


class CLIReporter:
    """Accepted for scripts that choose columns; Ramet shows its own table (``RunConfig(verbose=…)``)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        del args, options

    def add_metric_column(self, metric: str, representation: str | None = None) -> None:
        """Accepted; see the class."""

    def add_parameter_column(self, parameter: str, representation: str | None = None) -> None:
        """Accepted; see the class."""


class JupyterNotebookReporter(CLIReporter):
    """Accepted likewise."""


class AirVerbosity(IntEnum):
    """Names for ``RunConfig(verbose=…)``."""

    SILENT = 0
    DEFAULT = 1
    VERBOSE = 2
