"""Two toys of one parameter: in the plain one greed pays, in the deceptive one what is good at once is paid for later.

Source: Chebykin, Alderliesten and Bosman (2025), "To Be Greedy, or Not to Be -- That Is the Question for Population
Based Training Variants", TMLR.
"""

import ramet

SPACE = {"h": ramet.uniform(0.9, 1.1)}
MUTATIONS = {"h": ramet.uniform(1e-4, 1.1)}


def toy(*, deceptive, mixes=False):
    """Return a training function: 20 gradient steps a report, 50 reports a life; ``mixes``: weights may begin anew."""

    def train(config):
        state = {"weights": {"theta": 0.9, "missed": 0.0}, "reports": 0}
        if (checkpoint := ramet.get_checkpoint()) is not None:
            saved = checkpoint.to_dict()
            weights = ramet.inherited(saved["weights"], fresh=state["weights"]) if mixes else saved["weights"]
            state = {"weights": weights, "reports": saved["reports"]}
        theta, missed, reports = state["weights"]["theta"], state["weights"]["missed"], state["reports"]
        while True:
            missed += abs(config["h"] - max(1 - reports / 50, 1e-4)) if deceptive else 0.0
            theta *= (1 - 0.002 * max(0.0, 2 - config["h"] - 0.2 * missed)) ** 20
            reports += 1
            saved = {"weights": {"theta": theta, "missed": missed}, "reports": reports}
            ramet.report({"score": 1.2 - theta**2}, checkpoint=ramet.Checkpoint.from_dict(saved))

    return train


def best_of(scheduler, folder, *, deceptive=True, mixes=False, members=8, seed=0, reports=50):
    """Run it, and return the best score at the end and the run's results."""
    results = ramet.Tuner(
        toy(deceptive=deceptive, mixes=mixes),
        param_space=SPACE,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, scheduler=scheduler, seed=seed),
        run_config=ramet.RunConfig(
            name=f"run-{seed}", storage_path=folder, verbose=0, executor="inline", stop={"training_iteration": reports}
        ),
    ).fit()
    return max(result.metrics["score"] for result in results), results
