"""Columns that grow: events of one kind as arrays, read when somebody asks and brought up to date by the new ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ramet.store.bulk import BulkReader

WORDS = "words"
"""The kind of a column of few different texts: kept as numbers, with the texts beside them."""


class Columns:
    """The events of one kind.

    Args:
        kind: their name.
        fields: name of each column -> numpy's type, or `WORDS`.
        optional: those that events of earlier versions lack; they are 0 there.
    """

    def __init__(self, kind: str, fields: Mapping[str, str], optional: Collection[str] = ()) -> None:
        self.kind, self.fields, self.optional = kind, {"seq": "i8", **fields}, optional
        self.seen = 0
        self.texts: dict[str, dict[str, int]] = {name: {} for name, type in fields.items() if type == WORDS}
        self._parts: dict[str, list[Any]] = {name: [] for name in self.fields}

    def __len__(self) -> int:
        return sum(map(len, self._parts["seq"]))

    def __getitem__(self, name: str) -> Any:
        parts = self._parts[name]
        if len(parts) != 1:
            parts[:] = [np.concatenate(parts) if parts else np.empty(0, self._type(name))]
        return parts[0]

    def words(self, name: str) -> list[str]:
        """Return the texts of a column of words, by number."""
        return list(self.texts[name])

    def read(self, bulk: BulkReader, upto: int) -> list[dict[str, Any]]:
        """Take in the events up to number ``upto``, and return those that are new.

        Raises:
            RunError: they are damaged.
        """
        if upto <= self.seen:
            return []
        found = list(bulk.events([self.kind], self.seen, upto))
        events = [event for _, _, event in found]
        try:
            self.take([seq for seq, _, _ in found], events)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise bulk.damaged(f"an event {self.kind} of it is none ({error!r:.80})") from error
        self.seen = upto
        return events

    def take(self, seqs: Sequence[int], events: Sequence[Mapping[str, Any]]) -> None:
        """Add rows for ``events``, all of them or none."""
        if not events:
            return
        new: dict[str, Any] = {"seq": np.array(seqs, "i8")}
        for name, type in self.fields.items():
            if name == "seq":
                continue
            if type == WORDS:
                known = self.texts[name]
                new[name] = np.array([known.setdefault(str(event[name]), len(known)) for event in events], "i4")
            elif name in self.optional:
                new[name] = np.array([event.get(name, 0) for event in events], type)
            else:
                new[name] = np.array([event[name] for event in events], type)
            if new[name].ndim != 1:
                raise ValueError(f"{name} is no number")
        for name, values in new.items():
            self._parts[name].append(values)

    def _type(self, name: str) -> str:
        return "i4" if self.fields[name] == WORDS else self.fields[name]
