"""The examples: they run as they stand, and end where their text says."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
PICTURES = {
    "quadratic.py": ["grid.png", "pbt.png"],
    "triangle_wave.py": ["triangle_wave.png"],
    "vector_digits.py": ["vector_digits.png"],
    "vector_ppo.py": ["vector_ppo.png"],
    "vector_torch.py": ["vector_torch.png"],
    "vector_before.py": [],
    "vector_after.py": [],
}
"""Which pictures each leaves in the folder that it is given. One without a picture takes no options."""
NEEDS = {
    "vector_before.py": ["jax", "optax"],
    "vector_after.py": ["jax", "optax"],
    "vector_digits.py": ["jax", "optax"],
    "vector_ppo.py": ["jax", "optax", "gymnax", "six"],
    "vector_torch.py": ["torch"],
}
"""What an example needs besides what the tests do."""


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Return a function that runs an example in this process, and returns what it defines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "runs"))
    monkeypatch.syspath_prepend(EXAMPLES)

    def run(name, *words, run_name="__main__"):
        monkeypatch.setattr(sys, "argv", [name, *words])
        return runpy.run_path(str(EXAMPLES / name), run_name=run_name)

    yield run
    plt.close("all")
    sys.modules.pop("pbt_visualization_utils", None)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py") if "_utils" not in path.name))
def test_an_example_runs_by_itself(name, tmp_path):
    """Every example runs with --smoke-test in a process of its own, and leaves the pictures that it promises."""
    for library in NEEDS.get(name, ()):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    options = ["--smoke-test", "--out", "pictures"] if PICTURES[name] else []
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *options]
    environment = {**os.environ, "RAMET_RUNS": str(tmp_path / "runs"), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("pictures/*")) == PICTURES[name]


def test_the_population_climbs_the_hill_that_the_grid_cannot(example, capsys):
    """On the quadratic problem the population reaches the top, and no model of the grid does."""
    example("quadratic.py", "--executor", "inline")
    told = capsys.readouterr().out

    assert "The population reached Q = 1.2000" in told
    assert "The grid search reached Q = 0.5925" in told


def test_the_members_of_the_quadratic_example_are_called_what_they_are(example):
    """The first member begins with h = (1, 0) and the second with h = (0, 1), as the pictures' legend says."""
    space = example("quadratic.py", run_name="imported")
    arguments = type("Arguments", (), {"seed": 0, "smoke_test": True, "executor": "inline"})
    first, second = space["grid"](arguments)

    assert (first.config["h0"], first.config["h1"]) == (1.0, 0.0)
    assert (second.config["h0"], second.config["h1"]) == (0.0, 1.0)
    assert first.metrics["theta1"] == second.metrics["theta0"] == 0.9


def test_the_triangle_wave_is_climbed(example, capsys):
    """With the default seed the best model of the triangle wave reaches the goal before its members are stopped."""
    example("triangle_wave.py", "--executor", "inline")

    assert "The best model reached 20" in capsys.readouterr().out


def test_the_tutorials_module_draws_its_pictures(example):
    """`get_init_theta`, `plot_parameter_history` and `plot_Q_history` do what the tutorial expects of them."""
    space = example("quadratic.py", run_name="imported")
    module = example("pbt_visualization_utils.py", run_name="imported")
    arguments = type("Arguments", (), {"seed": 0, "smoke_test": True, "executor": "inline"})
    results = space["population"](arguments)
    _, axes = plt.subplots(1, 2)

    assert np.array_equal(module["get_init_theta"](), [0.9, 0.9])
    left = module["plot_parameter_history"](results, ["black", "red"], ["a", "b"], perturbation_interval=4, ax=axes[0])
    right = module["plot_Q_history"](results, ["black", "red"], ["a", "b"], ax=axes[1])
    assert (left.get_xlabel(), left.get_ylabel()) == ("theta0", "theta1")
    assert right.get_ylabel() == "Q (higher is better)"
    assert {"a", "b"} <= {text.get_text() for text in right.get_legend().get_texts()}
