"""Two runs of one program at once, a short one and a long one, which both come to their end."""

import sys
import threading
from pathlib import Path

from ray_controller import paced

import ramet


class Meeting(ramet.Callback):
    """Says that its run is under way, and waits until the other one is."""

    def __init__(self, own, other):
        self.own, self.other = own, other

    def on_report(self, member, iteration, metrics):
        self.own.set()
        self.other.wait()


def main(folder, address):
    ends, first, second = [], threading.Event(), threading.Event()

    def run(name, iterations, own, other):
        tuner = ramet.Tuner(
            paced,
            param_space={"rate": 1.0, "pace": 0.05},
            tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, seed=3),
            run_config=ramet.RunConfig(
                name=name,
                storage_path=Path(folder),
                stop={"training_iteration": iterations},
                verbose=0,
                executor=ramet.RayExecutor(1, address=address),
                callbacks=[Meeting(own, other)],
            ),
        )
        ends.append([result.iteration for result in tuner.fit()])

    short = threading.Thread(target=run, args=("short", 5, first, second))
    short.start()
    first.wait()
    run("long", 60, second, first)
    short.join()
    import ray

    print(sorted(ends), ray.is_initialized(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
