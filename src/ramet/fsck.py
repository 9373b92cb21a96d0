"""What is wrong with a run's folder, and mending it by going back to the last whole state. Never unpickles.

A ledger is whole up to the first entry that is damaged, or does not follow from those before it; transactions count
as a whole. A checkpoint is whole if its bytes are those that were committed. What is neither is told by name.
"""

from __future__ import annotations

import itertools
import os
import pickletools
import re
from collections.abc import Iterator
from pathlib import Path

from ramet import sealed
from ramet.aside import OBJECTS
from ramet.core.events import Lost
from ramet.core.population import Checkpoint, Population
from ramet.errors import CheckpointError, RunError, StorageError
from ramet.record import Record
from ramet.settings import NAME as SETTINGS
from ramet.store.away import HOME, lacking
from ramet.store.ledger import CheckpointRow, Ledger
from ramet.store.lock import LOCK


def whole(record: Record) -> tuple[int, Population, str | None]:
    """Return how many entries of the ledger are whole, what they lead to, and what is wrong with it, if anything.

    They end where a transaction does.
    """
    count, population, wrong = _history(record)
    # Where all entries can be read, an index or a checkpoint may still be such that nothing can be written.
    return count, population, wrong or next(record.ledger.damages(besides_entries=True), None)


def _history(record: Record) -> tuple[int, Population, str | None]:
    """Return the same, but look at entries alone: what is wrong is why the next one is not whole."""
    count, entries, wrong = 0, 0, None
    population = Population()
    try:
        for entries, (row, _) in enumerate(record.replayed(population), start=1):
            if row.ends:
                count = entries
    except RunError as error:
        wrong = str(error)
    if wrong is None and count == entries:
        return count, population, None
    population = Population()
    for _ in itertools.islice(record.replayed(population), count):
        pass
    return count, population, wrong or f"{record.ledger.path} ends in the middle of a transaction"


def check(folder: Path) -> list[str]:
    """Return every damage of the run in ``folder``, one sentence each; an empty list if all is well.

    Of a run that is kept in a store, what the store lacks is told too.

    Raises:
        RunError: it holds no run, or one of a newer version.
        StorageError: the store that keeps it does not answer.
    """
    record = Record.open(folder)
    try:
        found = list(record.ledger.damages())
        _, population, wrong = _history(record)
        if wrong is not None and not found:
            found.append(wrong)
        found += [f"checkpoint {name} is lost: {why}" for name, why in _lost(record, population)]
        if not (folder / LOCK).exists():  # what is being written belongs to nothing yet
            found += [f"checkpoints/{name} belongs to nothing" for name in _leftovers(record)]
            if (folder / HOME).exists():
                named = {row.path for row in record.ledger.checkpoints() if row.path is not None}
                found += lacking(folder, named, record.ledger.last)
    finally:
        record.close()
    return found + [why for name in (SETTINGS, OBJECTS) if (why := _cut(folder / name)) is not None]


def repair(folder: Path, *, thorough: bool = True) -> list[str]:
    """Mend what can be mended in ``folder``, which nobody is at work on; return what was done, one sentence each.

    A damaged ledger is set aside and written anew up to its last whole transaction. Checkpoints that are needed and
    damaged are recorded as lost: their members go on from older ones. What belongs to nothing is removed.

    Args:
        folder: the run's folder.
        thorough: also read every checkpoint.

    Raises:
        RunError: nothing in it is whole, or it cannot be written.
    """
    done: list[str] = []
    record = Record.open(folder)
    try:
        record.check_there()
        count, population, lost = _history(record)
        wrong = lost or next(record.ledger.damages(), None)
        if wrong is not None:
            if not count:
                raise RunError(f"{folder} cannot be repaired, for not even its beginning is whole: {wrong}")
            # What only the damaged part names is kept with it: one flipped bit must not cost the models of a whole run.
            named = {f"{row.path}" for row in _readable(record, population)}
            models = record.store.set_aside(named)  # first, or a death in between would leave them to the next sweep
            rows = itertools.islice(record.ledger.happened(), count)
            aside = Ledger.rebuild(folder, rows, _readable(record, population), record.ledger.meta())
            how = (
                f"went back to entry {count}, the last whole one"
                if lost
                else f"all {count} entries are whole, and kept"
            )
            why = re.split("[:.] `?ramet check --repair", wrong)[0]
            done.append(f"{how}, for {why}. The damaged file is {aside.name}")
            if models is not None:
                done.append(f"checkpoints of later entries are in {models.name}/")
    finally:
        record.close()
    if thorough:
        record = Record.resume(folder)
        try:
            _, population, _ = _history(record)
            for name, why in list(_lost(record, population)):
                record.commit([Lost(*name, why)], {})
                done.append(f"checkpoint {name} is lost: {why}")
            done += [f"checkpoints/{name} belonged to nothing and was removed" for name in record.sweep()]
        finally:
            record.close()
    return done


def _readable(record: Record, population: Population) -> Iterator[CheckpointRow]:
    """Yield the checkpoints that there should be, of those that can be read."""
    for name in sorted(population.present):
        try:
            row = record.ledger.checkpoint(*name)
        except (CheckpointError, RunError):
            continue
        if row is not None:
            yield row


def _lost(record: Record, population: Population) -> Iterator[tuple[Checkpoint, str]]:
    for name in sorted(population.alive()):
        try:
            record.verify(name)
        except StorageError:
            raise  # which says nothing about the checkpoint
        except (CheckpointError, RunError) as error:
            yield name, str(error)


def _leftovers(record: Record) -> list[str]:
    try:
        known = {row.path for row in record.ledger.checkpoints()}
    except RunError:
        return []  # told already
    return [name for name in record.store.names() if name not in known]


def _cut(path: Path) -> str | None:
    """Return what is wrong with a pickle, without loading it."""
    if not os.path.lexists(path):
        return None
    try:
        for _ in pickletools.genops(sealed.read(path)):
            pass
    except Exception as error:
        return f"{path.name} is damaged ({error!s:.200}): a resume has to be given what it holds"
    return None
