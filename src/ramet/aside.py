"""Objects of a search space that are no plain data: a ledger names them by number, and no reader loads them."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from ramet import sealed

OBJECTS = "objects.pkl"


def is_numpys(value: Any) -> bool:
    """Return whether ``value`` is a scalar of numpy; where that is not loaded, and a reader need not, there is none."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


class Aside:
    """Objects of a search space that are no plain data. The ledger names them by number; their pickle lies beside it.

    A reader that has not got the objects shows what they looked like. ``together`` is what else refers to them: it is
    pickled with them, so that the same object is one object again.
    """

    def __init__(self, folder: Path | None = None, objects: Iterable[Any] = (), together: Any = None) -> None:
        self._folder, self.together = folder, together
        self._objects = list(objects)
        self._saved = len(self._objects)

    def plain(self, value: Any) -> Any:
        """Return ``value`` as JSON takes it."""
        if value is None or type(value) in (str, int, float, bool):
            return value
        if is_numpys(value) and type(value.item()) in (str, int, float, bool):
            return value.item()
        if type(value) is list:
            return [self.plain(each) for each in value]
        if type(value) is tuple:
            return {"$tuple": [self.plain(each) for each in value]}
        if isinstance(value, Mapping) and all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self.plain(each) for key, each in value.items()}
        if isinstance(value, Shown):  # of the run that this one was branched from
            return {"$object": None, "repr": value.told}
        number = next((at for at, known in enumerate(self._objects) if known is value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        try:
            told = repr(value)[:200]
        except Exception:  # an object that cannot even be shown
            told = type(value).__name__
        return {"$object": number, "repr": told}

    def restored(self, value: Any) -> Any:
        """Return what `plain` was given, or a `Shown` for an object that is not at hand."""
        if isinstance(value, list):
            return [self.restored(each) for each in value]
        if isinstance(value, dict):
            if "$tuple" in value:
                return tuple(self.restored(each) for each in value["$tuple"])
            if "$object" in value:
                number = value["$object"]
                known = isinstance(number, int) and 0 <= number < len(self._objects)
                return self._objects[number] if known else Shown(str(value.get("repr", "?")))
            return {key: self.restored(each) for key, each in value.items()}
        return value

    def save(self) -> None:
        """Write the objects, durably, if there are new ones since the last time."""
        if self._folder is None or self._saved == len(self._objects):
            return
        try:
            data = cloudpickle.dumps((self._objects, self.together))
        except Exception as error:  # a run goes as well with what does not pickle; it cannot be taken up, and says why
            data = pickle.dumps(f"{type(error).__name__}: {error}")
        sealed.write(self._folder / OBJECTS, data)
        self._saved = len(self._objects)


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """Stands for an object of the search space that a reader has not loaded."""

    told: str

    def __repr__(self) -> str:
        return f"<{self.told}>"
