"""How many slots there are: capacity over need, for CPUs, whole GPUs and fractions of them."""

import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ramet
from ramet import resources
from ramet.errors import ConfigError
from ramet.resources import Slots, check_resources


@pytest.fixture(autouse=True)
def uninitialized(monkeypatch):
    """No capacity has been set, and the machine has no GPUs."""
    monkeypatch.setattr(resources, "_capacity", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def train(config):
    """Do nothing."""


def slots(need, *, cpus=8, gpus=0, **arguments):
    """The devices of the slots that fit."""
    ramet.init(num_cpus=cpus, num_gpus=gpus)
    return Slots.of(train if need is None else ramet.with_resources(train, need), **arguments).devices


TABLE = {
    "a CPU each": (None, {}, [None] * 8),
    "two CPUs each": ({"cpu": 2}, {}, [None] * 4),
    "names in capitals": ({"CPU": 2}, {}, [None] * 4),
    "half a CPU": ({"cpu": 0.5}, {"cpus": 2}, [None] * 4),
    "a third of a CPU": ({"cpu": 1 / 3}, {"cpus": 1}, [None] * 3),
    "more than half": ({"cpu": 5}, {}, [None]),
    "no more than members": (None, {"limit": 3}, [None] * 3),
    "more members than fit": (None, {"limit": 30}, [None] * 8),
    "as many as asked for": (None, {"count": 20}, [None] * 20),
    "no CPU at all": ({"cpu": 0}, {"limit": 5}, [None] * 5),
    "a GPU each": ({"gpu": 1}, {"gpus": 2}, ["0", "1"]),
    "half a GPU": ({"gpu": 0.5}, {"gpus": 2}, ["0", "0", "1", "1"]),
    "a third of a GPU": ({"gpu": 1 / 3}, {"gpus": 1}, ["0"] * 3),
    "less than half a GPU": ({"gpu": 0.4}, {"gpus": 2}, ["0", "0", "1", "1"]),
    "more than half a GPU": ({"gpu": 0.6}, {"gpus": 2}, ["0", "1"]),
    "two GPUs": ({"gpu": 2}, {"gpus": 5}, ["0,1", "2,3"]),
    "CPUs are scarcer": ({"cpu": 4, "gpu": 0.25}, {"gpus": 1}, ["0", "0"]),
    "GPUs are scarcer": ({"cpu": 1, "gpu": 1}, {"gpus": 1}, ["0"]),
    "GPUs and a limit": ({"gpu": 0.5}, {"gpus": 2, "limit": 3}, ["0", "0", "1"]),
    "GPUs and a count": ({"gpu": 0.5}, {"gpus": 2, "count": 3}, ["0", "0", "1"]),
    "no GPU is no GPU": ({"cpu": 1, "gpu": 0}, {"gpus": 2, "cpus": 2}, [None, None]),
}


@pytest.mark.parametrize(("need", "have", "devices"), TABLE.values(), ids=TABLE)
def test_slots_are_what_fits(need, have, devices):
    """By slot, the GPUs that its worker may see: as many slots as the scarcest resource allows."""
    assert slots(need, **have) == devices


@pytest.mark.parametrize(
    ("need", "have", "words"),
    [
        ({"cpu": 9}, {}, ["9", "does not fit", "ramet.init"]),
        ({"gpu": 1}, {}, ["'gpu': 1.0", "does not fit", "ask for less"]),
        ({"gpu": 3}, {"gpus": 2}, ["'gpu': 3.0", "does not fit"]),
        ({"gpu": 1}, {"gpus": 2, "count": 3}, ["3 slots", "do not fit", "fewer slots"]),
    ],
)
def test_what_does_not_fit_is_refused(need, have, words):
    """Not even one slot, or fewer than asked for, is a ConfigError with both amounts and the way out."""
    with pytest.raises(ConfigError) as caught:
        slots(need, **have)
    assert [word for word in words if word not in str(caught.value)] == []


@given(st.floats(0.01, 1), st.integers(1, 4))
def test_a_shared_gpu_is_never_overbooked(share, gpus):
    """Slots on one GPU never need more than all of it, and one more would."""
    ramet.init(num_cpus=10_000, num_gpus=gpus)
    devices = Slots.of(ramet.with_resources(train, {"cpu": 1, "gpu": share})).devices
    for gpu in range(gpus):
        count = devices.count(str(gpu))
        assert count * share <= 1 + 1e-6
        assert (count + 1) * share > 1


@pytest.mark.parametrize(
    ("visible", "gpus", "devices"),
    [
        ("4,5", None, ["4", "5"]),
        ("4,5,6", 2, ["4", "5"]),
        ("GPU-a, GPU-b", None, ["GPU-a", "GPU-b"]),
        ("7", 3, ["7"]),
    ],
)
def test_the_gpus_of_the_environment_are_shared_out_under_their_names(monkeypatch, visible, gpus, devices):
    """What CUDA_VISIBLE_DEVICES leaves to this process is what its workers get, no more and under the same names."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    ramet.init(num_cpus=8, num_gpus=gpus)
    assert Slots.of(ramet.with_resources(train, {"gpu": 1})).devices == devices


@pytest.mark.parametrize("visible", ["", "-1", " , "])
def test_an_environment_without_gpus_has_none(monkeypatch, visible):
    """An empty list and -1 hide all GPUs."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(ConfigError, match="'gpu': 0"):
        Slots.of(ramet.with_resources(train, {"gpu": 1}))


def test_init_and_shutdown():
    """The capacity is what init said last; shutdown forgets it, and may be repeated; a refused one changes nothing."""
    assert not ramet.is_initialized()
    ramet.init(num_cpus=3)
    ramet.init(num_cpus=2)
    assert ramet.is_initialized()
    with pytest.raises(ConfigError):
        ramet.init(num_cpus=-1)
    assert len(Slots.of(train).devices) == 2
    ramet.shutdown()
    ramet.shutdown()
    assert not ramet.is_initialized()
    assert len(Slots.of(train).devices) == len(os.sched_getaffinity(0))


def test_a_misspelt_argument_is_refused():
    """An argument that init does not have is no silent default."""
    with pytest.raises(TypeError, match="num_cpu"):
        ramet.init(num_cpu=1)


def test_what_ray_scripts_pass_besides_is_taken():
    """Arguments of ray.init without a meaning here do no harm."""
    from ramet.compat.ray_session import init

    init(num_cpus=2, ignore_reinit_error=True, address="auto", object_store_memory=10**9)
    assert len(Slots.of(train).devices) == 2


@pytest.mark.parametrize("amount", ["1", None, True, -1, math.nan, math.inf, [1]])
@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_amounts_are_numbers(name, amount):
    """An amount that is no number of at least 0 is refused by its name and value."""
    with pytest.raises(ConfigError) as caught:
        check_resources({name: amount})
    assert f"with_resources({name}={amount!r})" in str(caught.value)


def test_resources_and_parameters_go_together():
    """Binding parameters and resources in either order gives the same, and never changes what was given."""

    def taking(config, data, scale=1):
        return (config, data, scale)

    one = ramet.with_parameters(ramet.with_resources(taking, {"cpu": 2}), data=[1])
    other = ramet.with_resources(ramet.with_parameters(taking, data=[1]), {"cpu": 2})
    more = ramet.with_parameters(one, scale=3)
    for bound in (one, other):
        assert bound.resources == {"cpu": 2.0}
        assert bound({"a": 1}) == ({"a": 1}, [1], 1)
        assert bound.__name__ == "taking"
    assert more({}) == ({}, [1], 3)
    assert one({}) == ({}, [1], 1)


def seeing(config):
    """Report what the worker may see."""
    ramet.report({"score": 1.0, "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "slot": ramet.get_context().slot})


def test_a_worker_sees_the_gpus_of_its_slot_alone(tmp_path):
    """Each worker process is started with its own devices in its environment."""
    ramet.init(num_cpus=2, num_gpus=4)
    results = ramet.Tuner(
        ramet.with_resources(seeing, {"gpu": 2}),
        tune_config=ramet.TuneConfig(num_samples=4),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0),
    ).fit()
    assert [result.metrics["visible"] for result in results] == [["0,1", "2,3"][r.metrics["slot"]] for r in results]


def test_looking_at_gpus_loads_no_driver():
    """Counting what this machine has imports nothing of CUDA's."""
    code = "import ramet, sys; ramet.init(); print([m for m in ('torch', 'pynvml', 'jax') if m in sys.modules])"
    environment = {**os.environ}
    environment.pop("CUDA_VISIBLE_DEVICES")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert told.stdout.strip() == "[]"
