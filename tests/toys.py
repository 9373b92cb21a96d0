"""The two toys of `ramet.problems`, with a checkpoint at every report, and with weights that may begin anew."""

import ramet
from ramet.problems import PROBLEMS


def toy(*, deceptive, mixes=False):
    """Return a training function of 50 reports a life; ``mixes``: weights may begin anew."""
    problem = PROBLEMS["toy-deceptive" if deceptive else "toy-plain"]

    def train(config):
        state = problem.begin(1)
        if (checkpoint := ramet.get_checkpoint()) is not None:
            saved = checkpoint.to_dict()
            state = ramet.inherited(saved, fresh=state) if mixes else saved
        while True:
            state, metrics = problem.step(state, config, None)
            score = {name: array.item() for name, array in metrics.items()}
            ramet.report(score, checkpoint=ramet.Checkpoint.from_dict(dict(state)))

    return train


def best_of(scheduler, folder, *, deceptive=True, mixes=False, members=8, seed=0, reports=50):
    """Run it, and return the best score at the end and the run's results."""
    results = ramet.Tuner(
        toy(deceptive=deceptive, mixes=mixes),
        param_space={"h": ramet.uniform(0.9, 1.1)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, scheduler=scheduler, seed=seed),
        run_config=ramet.RunConfig(
            name=f"run-{seed}", storage_path=folder, verbose=0, executor="inline", stop={"training_iteration": reports}
        ),
    ).fit()
    return max(result.metrics["score"] for result in results), results
