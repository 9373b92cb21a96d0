"""What holds of every run that is over, whatever happened to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workloads import content, link

from ramet import fsck
from ramet.checkpoint import Checkpoint
from ramet.core.blocks import as_dicts
from ramet.core.events import Began, Ended, Kept, Opened, Reported, Resumed
from ramet.record import CHECKPOINTS, Record

FILES = {"run.db", "run.db-wal", "run.db-shm", "settings.pkl", CHECKPOINTS}
PERHAPS = {"errors.log", "logs", "objects.pkl", "run.db-wal", "run.db-shm"}


def is_clean(folder: Path) -> None:
    """The folder holds a whole run, exactly the checkpoints that its ledger names, and nothing left behind."""
    assert fsck.check(folder) == []
    record = Record.open(folder)
    try:
        named = sorted(row.path for row in record.ledger.checkpoints() if row.path is not None)
        assert record.store.names() == named
        population = record.population()
        assert {(row.segment, row.iteration) for row in record.ledger.checkpoints()} == set(population.present)
        assert population.ended is not None
        assert population.training == 0
        kinds = [type(event) for event in record.events()]
        assert kinds.count(Began) == 1
        assert kinds.count(Ended) == kinds.count(Resumed) + 1 or kinds.count(Resumed) >= kinds.count(Ended)
        assert kinds[-1] is Ended
    finally:
        record.close()
    there = {path.name for path in folder.iterdir() if not path.name.startswith("run.db.damaged")}
    assert there - PERHAPS == FILES - PERHAPS


def is_whole(folder: Path, *, members: int, stop: int) -> None:
    """Of a run of `workloads.chained`: each row once and without gaps, each start kept, each chain true."""
    record = Record.open(folder)
    try:
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        opened: dict[int, Opened] = {}
        kept: set[tuple[int, int]] = set()
        for event in record.events():
            match event:
                case Reported():
                    for iteration, row in enumerate(as_dicts(event.rows), start=event.first):
                        name = (event.segment, iteration)
                        assert name not in rows, f"row {name} is there twice"
                        rows[name] = row
                case Kept():
                    kept.add((event.segment, event.iteration))
                case Opened():
                    assert event.segment == len(opened)
                    assert event.parent is None or (event.parent, event.iteration) in kept
                    opened[event.segment] = event
        for segment, start in opened.items():
            chain = "" if start.parent is None else rows[start.parent, start.iteration]["chain"]
            iterations = sorted(iteration for number, iteration in rows if number == segment)
            assert iterations == list(range(start.iteration + 1, start.iteration + 1 + len(iterations)))
            for iteration in iterations:
                row = rows[segment, iteration]
                chain = link(chain, iteration, start.hparams["lr"])
                assert (row["chain"], row["step"], row["lr"]) == (chain, iteration, start.hparams["lr"])
        for listed in record.ledger.checkpoints():
            name = (listed.segment, listed.iteration)
            assert name in kept
            with Checkpoint(stored=record.checkpoint(name)).as_directory() as directory:
                chain = rows[name]["chain"]
                large = opened[name[0]].hparams["large"]
                assert Path(directory, "model").read_bytes() == (content(chain) if large else chain.encode())
                assert Path(directory, "step").read_text() == str(name[1])
        population = record.population()
        assert len(population.members) == members
        for member in population.members:
            assert member.state == "finished", member
            lineage = population.lineage(member.segment)
            assert lineage[0].parent is None
            ends = [after.start for after in lineage[1:]] + [population.current(member.number).last]
            steps = [
                iteration
                for segment, end in zip(lineage, ends, strict=True)
                for iteration in range(segment.start + 1, end + 1)
                if (segment.number, iteration) in rows
            ]
            assert steps == list(range(1, stop + 1))
    finally:
        record.close()
