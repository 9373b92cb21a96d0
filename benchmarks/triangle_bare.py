"""The rival: the same training code with nothing around it, in two plain processes of four models each.

Each writes its checkpoints to one file and its rows to another, and no model ever hears of another one. What any
library costs comes on top of this.

    python benchmarks/triangle_bare.py 1000
"""

import json
import os
import subprocess
import sys
import tempfile

from training import step

INTERVAL = 5


def train(folder, model, iterations):
    accuracy, rows = 0.0, []
    for done in range(1, iterations + 1):
        accuracy, metrics = step(0.0001, accuracy)
        rows.append(metrics)
        if done % INTERVAL == 0:
            with open(os.path.join(folder, f"checkpoint-{model}.json"), "w") as file:
                json.dump({"accuracy": accuracy, "step": done}, file)
    with open(os.path.join(folder, f"rows-{model}.json"), "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        for model in map(int, sys.argv[3:]):
            train(sys.argv[2], model, int(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            shares = [["0", "2", "4", "6"], ["1", "3", "5", "7"]]
            processes = [subprocess.Popen([sys.executable, __file__, sys.argv[1], folder, *share]) for share in shares]
            sys.exit(max(process.wait() for process in processes))
