"""A population shared out over eight devices: the same as on one, and only the rows that are replaced go about."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

from vectors import compile_once

CHILD = """
import json, re, sys
sys.path.insert(0, sys.argv[1])
import vectors
vectors.compile_once = lambda: None
vectors.jax.config.update("jax_compilation_cache_dir", sys.argv[3])
vectors.jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
vectors.jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
import jax
import numpy as np
import ramet
from ramet.errors import ConfigError
from ramet.executor.vector.jax import JaxProgram, _padded
from ramet.executor.vector.values import Values

assert len(jax.devices()) == 8
told = {}

# Whole runs
SPACE = {**vectors.SPACE, "pace": 1}
for members in (16, 13):
    runs = []
    for rows, devices in ((None, 1), (None, 8), (None, jax.devices()[2:5]), (5, 8)):
        name = f"{sys.argv[2]}/{members}-{len(runs)}"
        executor = ramet.VectorExecutor(rows, devices=devices, checkpoint_every=2)
        runs.append(vectors.tuner(name, executor, vectors.pbt(3), space=SPACE, pairs=members, stop=8).fit())
    stories = [vectors.told(results.experiment_path) for results in runs]
    told[f"decisions of {members}"] = all(story["events"] == stories[0]["events"] for story in stories)
    told[f"largest difference of {members}"] = max(
        abs(row["score"] - stories[0]["rows"][name]["score"]) / abs(row["score"])
        for story in stories for name, row in story["rows"].items()
    )
    told[f"errors of {members}"] = [str(error) for results in runs for error in results.errors]

# What a move does
def wide(key, hparams):
    return {"w": jax.random.normal(key, (64, 64)), "n": 0}

def step(state, hparams, key):
    return state, {"score": state["w"].sum()}

configs = [{"lr": 0.1 * at} for at in range(32)]
values = Values(configs, ["lr"])
program = JaxProgram(ramet.VectorTrainable(wide, step), values, 32, 0, 8)
block = program.begin(np.arange(32), values.arrays(configs))
told["shares"] = sorted({shard.data.shape[0] for shard in block["w"].addressable_shards})
before = program.take(block, range(32))
to, of = [0, 31], [9, 3]
text = program._moved.lower(block, *_padded(32, to, of)).compile().as_text()
told["gathered"] = [
    int(np.prod([int(size) for size in shape.split(",")]))
    for shape in re.findall(r"\\[([0-9,]+)\\][^=]*? all-(?:gather|reduce|to-all)[-a-z]*\\(", text)
]
after = program.take(program.move(block, to, of), range(32))
source = np.arange(32)
source[to] = of
told["moved"] = all(new.tobytes() == old[source].tobytes() for old, new in zip(before, after))
block = program.begin(np.arange(32), values.arrays(configs))
block, pending = program.train(block, 2, np.arange(32), np.zeros(32, np.int64), values.arrays(configs))
told["still shared"] = sorted({shard.data.shape[0] for shard in block["w"].addressable_shards})

# What is refused
told["refused"] = []
for devices in (9, 0, -1):
    try:
        JaxProgram(ramet.VectorTrainable(wide, step), values, 32, 0, devices)
    except ConfigError as error:
        told["refused"].append(str(error))
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a process with eight devices found."""
    here, folder = str(Path(__file__).parent), str(tmp_path_factory.mktemp("devices"))
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", CHILD, here, folder, str(compile_once())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("members", [16, 13])
def test_on_eight_devices_a_run_is_what_it_is_on_one(told, members):
    """Decisions are the same on one, three and eight devices, whether or not members come out even, and in turn.

    Scores may differ by a relative 1e-5; on CPUs they are the same to the last bit.
    """
    assert told[f"errors of {members}"] == []
    assert told[f"decisions of {members}"]
    assert told[f"largest difference of {members}"] <= 1e-5


def test_rows_are_shared_out_equally(told):
    """Each of eight devices has four of 32 rows, before and after training."""
    assert told["shares"] == told["still shared"] == [4]


def test_a_move_between_devices_moves_the_rows_that_it_names(told):
    """Rows that change device arrive whole, and nothing of the size of the population is gathered anywhere."""
    assert told["moved"]
    assert sorted(told["gathered"]) == [2, 2 * 64 * 64]


def test_more_devices_than_there_are_are_refused(told):
    """Nine of eight, none, or fewer are refused with how many there are."""
    assert len(told["refused"]) == 3
    assert all("JAX has 8 here (cpu)" in error for error in told["refused"])
