"""A run's events as columns, each kind read when it is first asked for: what every look at a whole run is made from.

The fold of `ramet.core.population` is what a run goes on from; it takes every event in turn, seconds for a hundred
thousand. Here the same facts come from whole columns, in tenths of a second. A test holds the two against each other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ramet.analysis.columns import WORDS, Columns
from ramet.analysis.places import FEW, Place, ended, facts_of, latest_row, places
from ramet.aside import Aside
from ramet.core.population import FOREBEAR, INHERITED
from ramet.errors import RunError
from ramet.rows import SCALARS
from ramet.store.bulk import BulkReader, Present


class Segments:
    """All segments so far, by number, as arrays.

    Those that a branch took over from another run are of member `FOREBEAR`; ``maker`` is who trained them there.
    """

    def __init__(self) -> None:
        self.columns = Columns("Opened", {"segment": "i8", "member": "i8", "iteration": "i8", "why": WORDS})
        self.hparams: list[Mapping[str, Any]] = []
        self._parents = self._donors = np.empty(0, "i8")
        self._makers: list[int] = []

    def __len__(self) -> int:
        return len(self.hparams)

    def read(self, bulk: BulkReader, upto: int) -> None:
        """Take in what was opened up to event ``upto``."""
        seen, aside = self.columns.seen, Aside()
        if upto <= seen:
            return
        found = list(bulk.events(["Opened"], seen, upto))
        try:
            infos = [event.get("info") or {} for _, _, event in found]
            flat = [{**event, "why": info.get("why", "")} for (_, _, event), info in zip(found, infos, strict=True)]
            if any(type(event["member"]) is not int or event["member"] < 0 for event in flat):
                raise ValueError("a segment is of no member")
            makers = [event["member"] for event in flat]
            for at, event in enumerate(flat):
                if event["why"] == INHERITED:
                    maker = infos[at].get("member")
                    makers[at], event["member"] = maker if type(maker) is int else FOREBEAR, FOREBEAR
            numbers = [event["segment"] for event in flat]
            if numbers != list(range(len(self), len(self) + len(flat))):
                raise ValueError("its segments are not in their order")
            parents = [-1 if event["parent"] is None else int(event["parent"]) for event in flat]
            if any(parent >= number for parent, number in zip(parents, numbers, strict=True)):
                raise ValueError("a segment comes before its parent")
            told = [event["hparams"] for event in flat]
            if not all(type(each) is dict for each in told):
                raise ValueError("hyperparameters are no dict")
            hparams = [each if SCALARS.issuperset(map(type, each.values())) else aside.restored(each) for each in told]
            if not all(type(each) is dict for each in hparams):
                raise ValueError("hyperparameters are no dict")
            donors = [donor if type(donor := info.get("donor")) is int else -1 for info in infos]
            new, cloned = np.array(parents, "i8"), np.array(donors, "i8")
            self.columns.take([seq for seq, _, _ in found], flat)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise bulk.damaged(f"an event Opened of it is none ({error!r:.80})") from error
        self.columns.seen = upto
        self.hparams += hparams
        self._makers += makers
        self._parents = np.append(self._parents, new)
        maker = np.where(new >= 0, self.member[new], -1)
        maker[maker == self.member[len(self) - len(new) :]] = -1
        self._donors = np.append(self._donors, np.where(new < 0, -1, np.where(cloned >= 0, cloned, maker)))

    @property
    def member(self) -> Any:
        """Who trained it."""
        return self.columns["member"]

    @property
    def maker(self) -> list[int]:
        """Who trained it, in whichever run that was."""
        return self._makers

    @property
    def start(self) -> Any:
        """The iteration that it began from."""
        return self.columns["iteration"]

    @property
    def seq(self) -> Any:
        """The number of the event that opened it."""
        return self.columns["seq"]

    @property
    def parent(self) -> Any:
        """The segment whose checkpoint it began from; -1 for none."""
        return self._parents

    @property
    def donor(self) -> Any:
        """Whose clone it began as; -1 where it is nobody's. See `ramet.view.standing.donor`."""
        return self._donors

    def why(self, number: int) -> str:
        """Return why a segment was opened."""
        return self.columns.words("why")[int(self.columns["why"][number])]


class Trace:
    """The run in ``folder``. `refresh` takes in what has happened since; until then all answers are of one moment.

    Raises:
        RunError: there is no run, or what it holds is no story of one.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.bulk = BulkReader(folder)
        self._begin(self.bulk.present())

    def _begin(self, present: Present) -> None:
        self.present = present
        self.last = 0
        self.few: list[tuple[int, str, dict[str, Any]]] = []
        self._segments = Segments()
        self._kept = Columns(
            "Kept",
            {"segment": "i8", "iteration": "i8", "time": "f8", "score": "f8", "elapsed": "f8", "size": "i8"}
            | {"pinned": "?"},
            optional=("size", "pinned"),
        )
        self._spent: list[Any] = []
        self._decided = Columns(
            "Decided", {"member": "i8", "segment": "i8", "iteration": "i8", "verdict": WORDS, "reason": WORDS}
        )
        self._spans: Any = None
        self._take(present.last)

    def refresh(self) -> bool:
        """Take in what is new, and return whether anything was."""
        present = self.bulk.present()
        if present == self.present:
            return False
        if present.file != self.present.file or present.last < self.last:
            self._begin(present)  # it was repaired, or another run lies there now
        else:
            self.present = present
            self._take(present.last)
        return True

    def _take(self, upto: int) -> None:
        new = list(self.bulk.events(FEW, self.last, upto))
        self.few += new
        after, self.last = self.last, upto  # reports may be of segments that are as new
        rewound = any(kind in ("Failed", "Resumed") for _, kind, _ in new)
        if self._spans is not None:
            # What was rewound is no longer there, and may lie anywhere.
            added = self._read_spans(0 if rewound else after, upto)
            self._spans = added if rewound else np.concatenate([self._spans, added])
        for name in ("facts", "places", "ends"):
            self.__dict__.pop(name, None)

    # ------------------------------------------------------------------ the columns

    @property
    def segments(self) -> Segments:
        """What was opened."""
        self._segments.read(self.bulk, self.last)
        return self._segments

    @property
    def kept(self) -> Columns:
        """Every checkpointed report."""
        new = self._kept.read(self.bulk, self.last)
        if new:
            self.check(self._kept["segment"], self._kept["iteration"])
            self._spent += [event.get("spent") or () for event in new]
        return self._kept

    @property
    def spent(self) -> list[Any]:
        """What `Kept` tells of slots and time, for every row of `kept`."""
        return self._spent[: len(self.kept)]

    @property
    def decided(self) -> Columns:
        """Every decision."""
        if self._decided.read(self.bulk, self.last):
            self.check(self._decided["segment"], self._decided["iteration"], self._decided["member"])
        return self._decided

    @property
    def spans(self) -> Any:
        """The reports there are, as an array with the fields seq, segment, first, last, at."""
        if self._spans is None:
            self._spans = self._read_spans(0, self.last)
        return self._spans

    def check(self, segment: Any, number: Any, member: Any = None) -> None:
        """Refuse columns that tell of segments that there are not, or of less than nothing.

        Raises:
            RunError: they do.
        """
        found = self.segments
        if min(segment.min(initial=0), number.min(initial=0)) < 0 or segment.max(initial=-1) >= len(found):
            raise self.bulk.damaged("it tells of segments that it never opened")
        if member is not None and not (found.member[segment] == member).all():
            raise self.bulk.damaged("it decides for members about the segments of others")

    def _read_spans(self, after: int, upto: int) -> Any:
        fields = [("seq", "i8"), ("segment", "i8"), ("first", "i8"), ("last", "i8"), ("at", "f8")]
        try:
            found = np.array(self.bulk.spans(after, upto), fields)
        except (TypeError, ValueError, OverflowError) as error:
            raise self.bulk.damaged(f"its reports are none ({error!r:.80})") from error
        self.check(found["segment"], np.minimum(found["first"], found["last"] - found["first"]))
        return found

    # ------------------------------------------------------------------ the present

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """What the run said of itself when it began, and what was changed since."""
        return facts_of(self.bulk, self.few)

    @property
    def seed(self) -> int:
        """What the run's draws are derived from."""
        return next((event.get("seed", 0) for _, kind, event in self.few if kind == "Began"), 0)

    @property
    def ended(self) -> str | None:
        """Why the run is over; None if it is not."""
        return ended(self.few)

    @property
    def noted(self) -> list[tuple[int, str]]:
        """What the user was told, each once."""
        texts: dict[str, tuple[int, str]] = {}
        for seq, kind, event in self.few:
            if kind == "Noted":
                texts.setdefault(str(event.get("kind")), (seq, str(event.get("text"))))
        return list(texts.values())

    @cached_property
    def ends(self) -> Any:
        """The last iteration that each segment has reported, its start if it has none."""
        segments, spans = self.segments, self.spans
        last = segments.start.copy()
        np.maximum.at(last, spans["segment"], spans["last"])
        return last

    @cached_property
    def places(self) -> list[Place]:
        """All members as they stand."""
        found = self.segments
        return places(self.bulk, self.few, found.seq.tolist(), found.member.tolist(), self.last)

    def state(self, place: Place) -> str:
        """Return what a member does: one that trained when the run was ended is stopped."""
        return "stopped" if place.state == "training" and self.ended is not None else place.state

    def metrics(self, member: int) -> Mapping[str, Any]:
        """Return the last row that ``member`` reported, with what earlier ones of its segments told besides."""
        own = np.flatnonzero(self.segments.member == member)[::-1]
        return latest_row(self.bulk, own.tolist(), self.facts.get("metric"))

    def lineage(self, segment: int) -> Iterator[tuple[int, int]]:
        """Yield the segments that made this one's model, the founder first, each with its last iteration in it."""
        segments, parents = self.segments, self.segments.parent
        chain = [(segment, int(self.ends[segment]))]
        while parents[chain[-1][0]] >= 0:
            child = chain[-1][0]
            chain.append((int(parents[child]), int(segments.start[child])))
        return reversed(chain)

    def close(self) -> None:
        """Close the file."""
        self.bulk.close()

    def check_member(self, member: Any, asked: str) -> int:
        """Return ``member`` if the run has it.

        Raises:
            RunError: it has not.
        """
        if type(member) is not int or not 0 <= member < len(self.places):
            raise RunError(f"{asked}: the run in {self.folder} has the members 0 to {len(self.places) - 1}")
        return member
