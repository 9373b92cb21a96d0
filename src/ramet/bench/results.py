"""What came of a comparison, and the JSON file that keeps it; table and picture are drawn from this alone.

The file is one object:

    format      1
    ramet       the version that ran it
    settings    seeds, interval, executor, quick
    problems    by name: text, mode ("max" or "min"), optimum, noisy (whether reports hide the true score), members,
                steps
    strategies  by name: text
    runs        a list, by problem, strategy, seed: problem, strategy, seed, score (the true one of whom a user would
                take, or null), seen (what strategies saw of the best one), reports (of all members), error (or null)

It holds no times, so that the same comparison gives the same file, on any number of processes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ramet import __version__
from ramet.errors import RunError

FORMAT = 1
_PARTS: Mapping[str, type] = {"settings": dict, "problems": dict, "strategies": dict, "runs": list}
_PROBLEM: Mapping[str, Any] = {
    "text": str, "mode": str, "optimum": (int, float), "noisy": bool, "members": int, "steps": int,
}  # fmt: skip
_RUN: Mapping[str, Any] = {
    "problem": str, "strategy": str, "seed": int, "score": (int, float, type(None)),
    "seen": (int, float, type(None)), "reports": int, "error": (str, type(None)),
}  # fmt: skip


@dataclass(frozen=True)
class Results:
    """What came of a comparison; the fields are those of the file."""

    settings: Mapping[str, Any]
    problems: Mapping[str, Mapping[str, Any]]
    strategies: Mapping[str, Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]
    ramet: str = __version__

    def values(self, problem: str, strategy: str, key: str = "score") -> list[float]:
        """Return ``"score"`` or ``"seen"`` of the runs of a strategy on a problem that ended well, by seed."""
        return [
            run[key]
            for run in self.runs
            if (run["problem"], run["strategy"]) == (problem, strategy) and run[key] is not None
        ]

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """The runs that ended in an error."""
        return [run for run in self.runs if run["error"] is not None]

    def to_json(self) -> str:
        """Return the text of the file."""
        parts = {name: getattr(self, name) for name in _PARTS}
        return json.dumps({"format": FORMAT, "ramet": self.ramet, **parts}, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> Results:
        """Return what a file holds.

        Raises:
            RunError: it cannot be read, or is no such file.
        """
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"cannot read {path} ({error.strerror or error}); give a file of --json") from error
        except ValueError as error:
            raise RunError(f"{path} is no JSON ({error}); give a file that ramet bench --json wrote") from error
        if fault := _fault(told):
            raise RunError(f"{path} holds no results of ramet bench: {fault}; give a file that --json wrote")
        return cls(**{name: told[name] for name in _PARTS}, ramet=str(told.get("ramet")))


def _fault(told: Any) -> str | None:
    """Return what is wrong with the contents of a file, None if nothing is."""
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        return f"its format is not {FORMAT}"
    for name, kind in _PARTS.items():
        if not isinstance(told.get(name), kind) or not told[name]:
            return f"it has no {name}"
    for name, problem in told["problems"].items():
        if fault := _wrong(problem, _PROBLEM):
            return f"its problem {name!r} has {fault}"
    for number, run in enumerate(told["runs"]):
        if fault := _wrong(run, _RUN):
            return f"its run {number} has {fault}"
        if run["problem"] not in told["problems"] or run["strategy"] not in told["strategies"]:
            return f"its run {number} is of a problem or strategy that it does not tell of"
    return None if all(isinstance(one, dict) for one in told["strategies"].values()) else "a strategy is no object"


def _wrong(given: Any, kinds: Mapping[str, Any]) -> str | None:
    if not isinstance(given, dict):
        return "no fields"
    for name, kind in kinds.items():
        value = given.get(name)
        if name not in given or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            return f"no proper {name}"
        if isinstance(value, float) and not math.isfinite(value):
            return f"a {name} that is not finite"
    return None
