"""Two runs of one program at once, a short one and a long one, which both come to their end."""

import sys
import threading
from pathlib import Path

from ray_controller import paced

import ramet


def main(folder, address):
    ends = []

    def run(name, iterations):
        tuner = ramet.Tuner(
            paced,
            param_space={"rate": 1.0, "pace": 0.05},
            tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, seed=3),
            run_config=ramet.RunConfig(
                name=name,
                storage_path=Path(folder),
                stop={"training_iteration": iterations},
                verbose=0,
                executor=ramet.RayExecutor(2, address=address),
            ),
        )
        ends.append([result.iteration for result in tuner.fit()])

    threads = [threading.Thread(target=run, args=(name, count)) for name, count in (("short", 5), ("long", 60))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    import ray

    print(ends, ray.is_initialized(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
