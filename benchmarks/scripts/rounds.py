"""What a report, a decision point and an exploit cost, seen from inside the training function; prints JSON.

python rounds.py --kind reports|boundaries|exploits [--executor inline] [--repeats 2000]
"""

import argparse
import json
import os
import time

import ramet

METRICS = {"loss": 0.25, "score": 0.75, "lr": 0.001, "norm": 1.5, "entropy": 2.25}
LOT = 10_000


def reports(config):
    """Time reports that are no boundary, by the lot; nothing else is done in between."""
    values = []
    for _ in range(config["repeats"]):
        began = time.perf_counter()
        for _ in range(LOT):
            ramet.report(METRICS)
        values.append(1e6 * (time.perf_counter() - began) / LOT)
    write(config, {"us": values})


def boundaries(config):
    """Time reports that carry a small checkpoint and wait for the answer."""
    values = []
    for step in range(config["repeats"]):
        state = {"step": step, "weights": [0.0] * 10}
        began = time.perf_counter()
        ramet.report(METRICS, checkpoint=ramet.Checkpoint.from_dict(state))
        values.append(1e6 * (time.perf_counter() - began))
    write(config, {"us": values})


def exploits(config):
    """Time from the report at which member 0 is told to become a clone to the clone's first step, state loaded."""
    checkpoint = ramet.get_checkpoint()
    step = 0 if checkpoint is None else checkpoint.to_dict()["step"]
    member = ramet.get_context().member
    if member == 0 and checkpoint is not None:
        note(config, "first")
    while True:
        step += 1
        time.sleep(0.002)  # member 1 must keep its checkpoint ahead, or there is nobody to clone
        state = ramet.Checkpoint.from_dict({"step": step, "weights": [0.0] * 10})
        if member == 0:
            note(config, "report")
        ramet.report({"score": float(member)}, checkpoint=state)


def note(config, what):
    """Write down the present moment."""
    file = os.open(config["out"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{time.perf_counter():.7f} {what}\n".encode())
    os.close(file)


def write(config, told):
    """Write down what was measured."""
    with open(config["out"], "w") as file:
        json.dump(told, file)


def gaps(lines):
    """Return the microseconds between each report and the first step that follows it at once."""
    found, before = [], None
    for line in lines:
        at, what = line.split()
        if what == "first" and before is not None:
            found.append(1e6 * (float(at) - before))
        before = float(at) if what == "report" else None
    return found


def run(function, members, scheduler, stop, asked, out):
    """Make a run of the function."""
    results = ramet.Tuner(
        function,
        param_space={"repeats": asked.repeats, "out": out},
        tune_config=ramet.TuneConfig(
            num_samples=members, scheduler=scheduler, **({"metric": "score", "mode": "max"} if scheduler else {})
        ),
        run_config=ramet.RunConfig(
            verbose=0, stop=stop, executor="inline" if asked.executor == "inline" else ramet.ProcessExecutor(members)
        ),
    ).fit()
    if results.errors:
        raise SystemExit(str(results.errors[0]))


def pbt(fraction):
    """Return a scheduler that decides at every report."""
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=fraction,
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["reports", "boundaries", "exploits"], required=True)
    parser.add_argument("--executor", default="process")
    parser.add_argument("--repeats", type=int, default=2000)
    asked = parser.parse_args()
    out = os.path.abspath("out")
    if asked.kind == "reports":
        run(reports, 1, None, None, asked, out)
    elif asked.kind == "boundaries":
        run(boundaries, 1, pbt(0.0), None, asked, out)
    else:
        run(exploits, 2, pbt(0.5), {"training_iteration": asked.repeats}, asked, out)
    with open(out) as file:
        print(json.dumps({"us": gaps(file)} if asked.kind == "exploits" else json.load(file)))
