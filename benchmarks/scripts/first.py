"""The shortest run there is: one member, one report. The moment is noted when the report has returned."""

from moments import mark

import ramet


def train(config):
    """Report once."""
    ramet.report({"loss": config["lr"]})
    mark(1)


if __name__ == "__main__":
    ramet.Tuner(train, param_space={"lr": 0.1}, run_config=ramet.RunConfig(verbose=0)).fit()
