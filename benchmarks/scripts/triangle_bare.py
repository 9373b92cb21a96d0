"""The floor: the same training code with nothing around it, in plain processes that share the models among them.

Each checkpoint is a new directory with one file, and the one before it is removed; rows are kept and written at the
end. No model ever hears of another one. What any library costs comes on top of this.

    python triangle_bare.py --members 8 --iterations 1000 --processes 2
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

from moments import mark
from training import INTERVAL, step


def train(folder, model, iterations):
    """Train one model, from its first step to its last."""
    accuracy, rows, before = 0.0, [], None
    mark()
    for done in range(1, iterations + 1):
        accuracy, metrics = step(0.0001, accuracy)
        rows.append(metrics)
        if done % INTERVAL == 0:
            directory = os.path.join(folder, f"{model}-{done}")
            os.mkdir(directory)
            with open(os.path.join(directory, "checkpoint.json"), "w") as file:
                json.dump({"accuracy": accuracy, "step": done}, file)
            mark(INTERVAL)
            if before is not None:
                shutil.rmtree(before)
            before = directory
    with open(os.path.join(folder, f"rows-{model}.json"), "w") as file:
        json.dump(rows, file)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--share", nargs=2, metavar=("FOLDER", "NUMBER"), help="be one of the processes")
    asked = parser.parse_args()
    if asked.share:
        for model in range(int(asked.share[1]), asked.members, asked.processes):
            train(asked.share[0], model, asked.iterations)
    else:
        with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
            command = [sys.executable, __file__, *sys.argv[1:], "--share", folder]
            processes = [subprocess.Popen([*command, str(number)]) for number in range(asked.processes)]
            sys.exit(max(process.wait() for process in processes))
