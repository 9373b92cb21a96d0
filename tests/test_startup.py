"""What a run has loaded by when: nothing here looks at a clock, but what is not imported takes no time.

`benchmarks/start.py` is the clock. What ``import ramet`` itself loads is in `test_house`.
"""

import json
import subprocess
import sys

import pytest
from test_house import HEAVY, ROOT, modules, within

SCRIPT = """
import json, sys
import ramet

loaded = {}
def note(moment):
    loaded.setdefault(moment, sorted(sys.modules))
sys.addaudithook(lambda event, _: note("a worker is started") if event == "subprocess.Popen" else None)

def train(config):
    ramet.report({"score": config["lr"], "loaded": " ".join(sorted(sys.modules))})

class Noting(ramet.Callback):
    def on_run_start(self, folder, population):
        note("the run begins")

tuner = ramet.Tuner(
    train,
    param_space={"lr": ramet.loguniform(1e-4, 1e-1), "width": ramet.choice([16, 32]), "depth": ramet.randint(1, 4)},
    tune_config=ramet.TuneConfig(
        metric="score",
        mode="max",
        num_samples=2,
        scheduler=ramet.PopulationBasedTraining(hyperparam_mutations={"lr": ramet.loguniform(1e-4, 1e-1)}),
    ),
    run_config=ramet.RunConfig(callbacks=[Noting()], storage_path=sys.argv[1], stop={"training_iteration": 3}),
)
note("the tuner is made")
results = tuner.fit()
note("the run is over")
loaded["a function reports"] = results[0].metrics["loaded"].split()
print("\\n" + json.dumps(loaded))
"""

NEVER = {*HEAVY, "multiprocessing", "greenlet"}
"""What no moment of such a run needs: nothing is drawn on a screen, and nobody is suspended."""

NOT_YET = {
    "the tuner is made": (
        *("numpy", "cloudpickle", "sqlite3", "subprocess", "socket", "tempfile", "statistics"),
        *("ramet.running", "ramet.loop", "ramet.record", "ramet.results", "ramet.checkpoint", "ramet.session"),
        *("ramet.core.engine", "ramet.core.population", "ramet.core.events"),
        *("ramet.executor", "ramet.store", "ramet.view", "ramet.settings", "ramet.resume", "ramet.fsck"),
    ),
    "a worker is started": (
        *("numpy", "cloudpickle", "sqlite3"),
        *("ramet.running", "ramet.loop", "ramet.record", "ramet.results", "ramet.checkpoint", "ramet.session"),
        *("ramet.core.engine", "ramet.core.population", "ramet.core.events", "ramet.executor.worker"),
        *("ramet.executor.inline", "ramet.store", "ramet.view", "ramet.settings", "ramet.resume", "ramet.fsck"),
    ),
    "the run begins": ("ramet.checkpoint", "ramet.results", "ramet.resume", "ramet.fsck", "zipfile"),
    "a function reports": (
        *("sqlite3", "subprocess", "statistics"),
        *("ramet.tuner", "ramet.config", "ramet.domains", "ramet.space", "ramet.strategy", "ramet.core.population"),
        *("ramet.core.events", "ramet.core.engine", "ramet.record", "ramet.results", "ramet.loop", "ramet.running"),
        *("ramet.executor.process", "ramet.executor.inline", "ramet.store.ledger", "ramet.store.lock", "ramet.view"),
    ),
    "the run is over": ("ramet.executor.worker", "ramet.executor.inline", "ramet.resume", "ramet.fsck", "ramet.cli"),
}
"""By moment, what must not be loaded: modules, and all that is in them."""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Return, by moment of a run in a process of its own, the names of the modules that were loaded."""
    folder = tmp_path_factory.mktemp("startup")
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(folder / "runs")], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("moment", NOT_YET)
def test_a_run_loads_what_it_needs_when_it_needs_it(loaded, moment):
    """A script sets up without numpy, workers start before the rest is imported, and load nothing that decides."""
    assert [name for name in loaded[moment] if within(name, (*NOT_YET[moment], *NEVER))] == []


def test_the_names_above_are_those_of_modules(loaded):
    """A room that was renamed is not left out unseen, and each moment has loaded what it does need."""
    ours = {name for names in NOT_YET.values() for name in names if name.startswith("ramet")}

    assert sorted(ours - set(modules())) == []
    assert "ramet.tuner" in loaded["the tuner is made"]
    assert "ramet.executor.process" in loaded["a worker is started"]
    assert {"ramet.executor.worker", "numpy.random"} <= set(loaded["a function reports"])
    assert {"ramet.loop", "sqlite3", "numpy.random"} <= set(loaded["the run is over"])
