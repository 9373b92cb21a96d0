"""Large checkpoints: a directory with one file, written once by the training function; prints JSON.

Member 0 is always the weaker one, and becomes a clone of member 1 once in every round. Both write a checkpoint of the
same size first, which is not counted: what is timed begins when it is reported.

    python large.py --bytes 1000000000 --rounds 2
"""

import argparse
import contextlib
import json
import os
import shutil
import time

import ramet

CHUNK = os.urandom(1_000_000)


def write(directory, size):
    """Write a checkpoint as user code does; return the seconds."""
    began = time.perf_counter()
    with open(os.path.join(directory, "weights.bin"), "wb") as file:
        for _ in range(size // len(CHUNK)):
            file.write(CHUNK)
    return time.perf_counter() - began


def transferred(processes):
    """Return how many bytes ``processes`` have read and written so far, whatever became of them; None if unknown."""
    read = written = 0
    for process in processes:
        try:
            with open(f"/proc/{process}/io") as file:
                told = dict(line.split(": ") for line in file.read().splitlines())
        except OSError:
            return None
        read, written = read + int(told["rchar"]), written + int(told["wchar"])
    return read, written


def note(config, **told):
    """Append what was measured to the file of all members."""
    with open(config["out"], "a") as file:
        file.write(json.dumps(told) + "\n")


def wait_for(path):
    """Wait until another member has made the file."""
    while not os.path.exists(path):
        time.sleep(0.001)


def train(config):
    """Be the weaker one, once in every round."""
    checkpoint = ramet.get_checkpoint()
    if ramet.get_context().member == 1:
        lead(config)
        return
    processes = [os.getpid(), config["controller"]]
    number = len([name for name in os.listdir(config["flags"]) if name.startswith("done")])
    if checkpoint is not None:
        assert os.path.getsize(os.path.join(checkpoint.path, "weights.bin")) == config["bytes"]
        note(config, first=time.perf_counter(), io=transferred(processes))
        open(f"{config['flags']}/done{number}", "x").close()
        number += 1
    if number < config["rounds"]:
        wait_for(f"{config['flags']}/ahead{number}")
        directory = ramet.checkpoint_dir()
        write(directory, config["bytes"])
        io = transferred(processes)
        note(config, report=time.perf_counter(), io=io)
        ramet.report({"score": 0.0}, checkpoint=ramet.Checkpoint.from_directory(directory))
        raise AssertionError("member 0 was to become a clone")


def lead(config):
    """Be the better one, and a step ahead."""
    processes = [os.getpid(), config["controller"]]
    for number in range(config["rounds"]):
        directory = ramet.checkpoint_dir()
        seconds = write(directory, config["bytes"])
        before = transferred(processes)
        began = time.perf_counter()
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_directory(directory))
        answered = time.perf_counter() - began
        note(config, written=seconds, answered=answered, before=before, after=transferred(processes))
        open(f"{config['flags']}/ahead{number}", "x").close()
        wait_for(f"{config['flags']}/done{number}")


def renamed(size):
    """Return the microseconds of renaming a directory of that size."""
    os.mkdir("one")
    write("one", size)
    values = []
    for number in range(50):
        names = ("one", "other") if number % 2 == 0 else ("other", "one")
        began = time.perf_counter()
        os.rename(*names)
        values.append(1e6 * (time.perf_counter() - began))
    shutil.rmtree("one")
    return values


def differences(before, after):
    """Return the bytes read and written in between, None if unknown."""
    return None if before is None or after is None else [two - one for one, two in zip(before, after, strict=True)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bytes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    os.mkdir("flags")
    space = {
        "bytes": asked.bytes,
        "rounds": asked.rounds,
        "out": os.path.abspath("out"),
        "flags": os.path.abspath("flags"),
        "controller": os.getpid(),
    }
    renames = renamed(asked.bytes)
    results = ramet.Tuner(
        train,
        param_space=space,
        tune_config=ramet.TuneConfig(
            metric="score",
            mode="max",
            num_samples=2,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=1,
                quantile_fraction=0.5,
                hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
            ),
        ),
        run_config=ramet.RunConfig(
            verbose=0,
            executor=ramet.ProcessExecutor(2),
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        ),
    ).fit()
    if results.errors:
        raise SystemExit(str(results.errors[0]))
    with open("out") as file:
        lines = [json.loads(line) for line in file]
    firsts, reports = ([line for line in lines if key in line] for key in ("first", "report"))
    led = [line for line in lines if "written" in line]
    told = {
        "rename_us": renames,
        "write_s": [line["written"] for line in led],
        "answer_s": [line["answered"] for line in led],
        "answer_io": [differences(line["before"], line["after"]) for line in led],
        "exploit_s": [one["first"] - two["report"] for one, two in zip(firsts, reports, strict=True)],
        "exploit_io": [differences(two["io"], one["io"]) for one, two in zip(firsts, reports, strict=True)],
    }
    with contextlib.suppress(OSError):
        shutil.rmtree(results.experiment_path)
    print(json.dumps(told))
