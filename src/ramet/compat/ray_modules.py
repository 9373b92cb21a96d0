"""The modules ``ray``, ``ray.tune`` … as Python's import system finds them, and what is said of names that they lack.

They are found by a finder, not merely put into ``sys.modules``: so a module that a pickled function refers to, or a
user's own module that imports ``ray``, means the same in a worker, in whichever order things are loaded there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ramet.compat.ray_names import INSTEAD, NAMES
from ramet.errors import RametError

TUTORIAL = "pbt_visualization_utils"


class StandIn(MetaPathFinder, Loader):
    """Finds and makes the modules of the table below ``root``. A name in them is loaded when it is first used."""

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module of the table.

        Raises:
            ModuleNotFoundError: the table lacks it. ``from ray.tune import missing`` ends here too, since every module
                calls itself a package, of which Python takes an unknown name for a submodule.
        """
        del path, target
        if fullname.partition(".")[0] != self.root:
            return None
        if fullname not in NAMES:
            # Without name=, or importlib would swallow it and say "cannot import name" alone.
            raise ModuleNotFoundError(refusal(fullname))
        return ModuleSpec(fullname, self, origin="ramet.compat.ray", is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the making of the module to Python."""
        del spec

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its names, lazily."""
        where = module.__name__
        homes = NAMES[where]

        def load(name: str) -> Any:
            if name in homes:
                home, _, attribute = homes[name].partition(":")
                value = getattr(importlib.import_module(home), attribute)
                setattr(module, name, value)
                return value
            if f"{where}.{name}" in NAMES:
                return importlib.import_module(f"{where}.{name}")
            # AttributeError and nothing else: hasattr, pickle and inspect ask for names that nobody has.
            raise AttributeError(refusal(f"{where}.{name}"))

        public = names_of(where)
        vars(module).update(
            __doc__=f"Ramet's stand-in for {where}.", __all__=public, __getattr__=load, __dir__=lambda: public
        )


def names_of(module: str) -> list[str]:
    """Return the public names of a module of the table, submodules included."""
    below = [name.removeprefix(f"{module}.") for name in NAMES if name.startswith(f"{module}.")]
    return sorted({*NAMES[module], *below} - {name for name in below if "." in name} - {"__version__"})


def refusal(name: str) -> str:
    """Return what to tell a script that asks for ``name``, which the stand-in lacks."""
    module = name.rpartition(".")[0]
    has = ", ".join(names_of(module))
    instead = f": {INSTEAD[name]}" if name in INSTEAD else ""
    return (
        f"{name} is not in Ramet's stand-in for Ray Tune{instead}; {module} has {has}. With the real Ray installed, "
        "run the script with plain python"
    )


def install() -> None:
    """Put the stand-in where ``import ray`` finds it first, whether or not the real Ray is installed.

    Raises:
        RametError: the real Ray has been imported already.
    """
    loaded = sys.modules.get("ray")
    if loaded is not None and not isinstance(getattr(loaded.__spec__, "loader", None), StandIn):
        raise RametError(
            f"the real Ray is imported already, from {getattr(loaded, '__file__', None)}: Ramet's stand-in must be "
            "installed before anything imports ray"
        )
    if not any(isinstance(finder, StandIn) for finder in sys.meta_path):
        sys.meta_path.insert(0, StandIn("ray"))
        sys.meta_path.append(StandIn(TUTORIAL))  # last: a module of the user's own comes before it
