"""What every executor promises, as tests."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import ramet
from ramet.core.blocks import decoded
from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.executor.base import Executor, Output
from ramet.testing.story import story

LIMIT = 60.0
"""Seconds after which a test gives up waiting; only a failing one gets there."""


def counting(config: dict[str, Any]) -> None:
    """Count from the checkpoint on; draw from every generator that user code has."""
    import random

    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint is not None else 0
    while True:
        step += 1
        metrics = {
            "score": step * config.get("rate", 1.0),
            "python": random.random(),
            "numpy": float(np.random.normal()),
            "own": float(ramet.rng().random()),
        }
        saved = step % config.get("every", 1) == 0
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"step": step}) if saved else None)


def writing(config: dict[str, Any]) -> None:
    """Like `counting`, with a directory for a checkpoint, of ``size`` bytes; handed out by the store if ``given``."""
    step, weights = 0, b""
    checkpoint = ramet.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as directory:
            step = int(Path(directory, "step.txt").read_text())
            weights = Path(directory, "deep", "weights.bin").read_bytes()
            assert weights == bytes([step % 256]) * config["size"]
    while True:
        step += 1
        with tempfile.TemporaryDirectory() as own:
            directory = str(ramet.checkpoint_dir()) if config.get("given") else own
            Path(directory, "step.txt").write_text(str(step))
            Path(directory, "deep").mkdir()
            Path(directory, "deep", "weights.bin").write_bytes(bytes([step % 256]) * config["size"])
            ramet.report({"score": step}, checkpoint=ramet.Checkpoint.from_directory(directory))


def ending(config: dict[str, Any]) -> Any:
    """End as the configuration says."""
    step = 0
    checkpoint = ramet.get_checkpoint()
    if checkpoint is not None:
        step = checkpoint.to_dict()["step"]
    while True:
        step += 1
        if step == config["at"]:
            match config["how"]:
                case "return":
                    return None
                case "dict":
                    return {"score": -1.0}
                case "raise":
                    raise ValueError("the data are gone")
                case "exit":
                    sys.exit(3)
                case "bad report":
                    ramet.report({"score": object()})
                case "swallow":
                    swallowing()
        ramet.report({"score": float(step)}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


def swallowing() -> None:
    """Refuse to leave."""
    while True:
        try:
            ramet.report({"score": 0.0}, checkpoint=ramet.Checkpoint.from_dict({"step": 0}))
        except BaseException:  # exactly what users are asked not to write
            time.sleep(0.001)


def hanging(config: dict[str, Any]) -> None:
    """Say one word, and no other."""
    ramet.report({"score": 1.0})
    time.sleep(config["seconds"])


def printing(config: dict[str, Any]) -> None:
    """Print, also below Python."""
    print("from python", config["word"])
    os.write(1, b"from below\n")
    ramet.report({"score": 1.0})


class ExecutorSuite:
    """Subclass it, define `make`, and pytest runs the suite::

    class TestMine(ExecutorSuite):
        def make(self, slots):
            return MyExecutor(slots)
    """

    captures_output = True
    """Whether what functions print is told of as `Output`."""
    loses_refusers = True
    """Whether a function that will not unwind loses its place, so that another can be started there."""

    def make(self, slots: int) -> Executor:
        """Return a new executor with so many slots."""
        raise NotImplementedError(f"{type(self).__name__} must define make(slots)")

    # ------------------------------------------------------------------ the protocol

    def _opened(self, tmp_path: Path, function: Any, slots: int = 1, report_timeout_s: float | None = None) -> Executor:
        executor = self.make(slots)
        setup = Setup("run", 7, "training_iteration", (), str(tmp_path / "store"), report_timeout_s)
        executor.open(setup, function, slots)
        return executor

    def _until(self, executor: Executor, work: int, *, waiting: bool = False) -> list[Handover]:
        """Poll until ``work`` waits or is over; return what it handed over."""
        came: list[Handover] = []
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit:
            for message in executor.poll(0.1):
                if isinstance(message, Handover) and message.work == work:
                    came.append(message)
                    if message.waiting if waiting else message.ended is not None or message.error is not None:
                        return came
        raise AssertionError(f"work {work} was not heard of in {LIMIT:g} s; it handed over {came}")

    def _some(self, executor: Executor, work: int) -> list[Handover]:
        """Poll until ``work`` has handed over rows; return what it handed over."""
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit:
            came = [said for said in executor.poll(0.1) if isinstance(said, Handover) and said.work == work]
            if any(handover.blocks for handover in came):
                return came
        raise AssertionError(f"work {work} handed over no row in {LIMIT:g} s")

    def test_trains_alone_to_the_end_of_its_lease(self, tmp_path: Path) -> None:
        """A worker waits at the first checkpointed report at or past its decision point, and not before."""
        executor = self._opened(tmp_path, counting)
        try:
            executor.start(0, Assignment(1, 0, 0, 0, {"every": 3}, None, Lease(until=5.0)))
            came = self._until(executor, 1, waiting=True)
            blocks = [block for handover in came for block in handover.blocks]
            assert [block.first for block in blocks] == [1, 4]
            assert [block.last for block in blocks] == [3, 6]
            assert all(block.stored is not None for block in blocks)
        finally:
            executor.close()

    def test_goes_on_under_a_new_lease(self, tmp_path: Path) -> None:
        """Proceeding continues the same function, with the rows that follow."""
        executor = self._opened(tmp_path, counting)
        try:
            executor.start(0, Assignment(1, 0, 0, 0, {}, None, Lease(until=2.0)))
            self._until(executor, 1, waiting=True)
            executor.proceed(1, Lease(until=4.0))
            came = self._until(executor, 1, waiting=True)
            assert [(b.first, b.last) for handover in came for b in handover.blocks] == [(3, 3), (4, 4)]
        finally:
            executor.close()

    def test_stopped_work_says_nothing_more_and_its_slot_serves_another(self, tmp_path: Path) -> None:
        """After stop, the slot takes other work, which goes on from the checkpoint that it is given."""
        executor = self._opened(tmp_path, counting)
        try:
            executor.start(0, Assignment(1, 0, 0, 0, {}, None, Lease(until=2.0)))
            stored = self._until(executor, 1, waiting=True)[-1].blocks[-1].stored
            executor.stop(1)
            executor.start(0, Assignment(2, 1, 0, 2, {"rate": 10.0}, stored, Lease(until=3.0)))
            came = self._until(executor, 2, waiting=True)
            assert came[0].blocks[0].first == 3
            assert came[0].blocks[0].metrics["score"] == 30.0
        finally:
            executor.close()

    def test_many_swaps_on_one_slot(self, tmp_path: Path) -> None:
        """A slot serves any number of clones, one after the other."""
        executor = self._opened(tmp_path, counting)
        try:
            stored = None
            for work in range(1, 51):
                executor.start(0, Assignment(work, work, 0, work - 1, {}, stored, Lease(until=work)))
                stored = self._until(executor, work, waiting=True)[-1].blocks[-1].stored
                executor.stop(work)
            assert stored is not None
        finally:
            executor.close()

    # ------------------------------------------------------------------ recalls

    def test_recalled_work_waits_whatever_its_lease_says(self, tmp_path: Path) -> None:
        """Work that would never wait hands over all its rows and waits, recalled before its first report or later."""
        for every in (1, 10**9):
            for later in (False, True):
                executor = self._opened(tmp_path, counting)
                try:
                    executor.start(0, Assignment(1, 0, 0, 0, {"every": every}, None, Lease(until=float("inf"))))
                    came = self._some(executor, 1) if later else []
                    executor.recall(1)
                    executor.recall(1)
                    came += self._until(executor, 1, waiting=True)
                    rows = _rows(came)
                    assert [row[0] for row in rows] == [float(step) for step in range(1, len(rows) + 1)]
                    assert [block.stored is not None for block in came[-1].blocks[-1:]] in ([], [every == 1])
                    assert [said for _ in range(5) for said in executor.poll(0.01)] == []
                finally:
                    executor.close()

    def test_recalled_work_goes_on_as_if_nothing_had_happened(self, tmp_path: Path) -> None:
        """With leave to proceed, rows and draws are those of work that nobody recalled, at a checkpoint or not."""
        for every in (1, 10**9):
            told = []
            for recalls in (0, 2):
                executor = self._opened(tmp_path, counting)
                try:
                    forever = Lease(until=float("inf"))
                    executor.start(0, Assignment(1, 0, 0, 0, {"every": every}, None, forever))
                    came = []
                    for _ in range(recalls):
                        executor.recall(1)
                        came += self._until(executor, 1, waiting=True)
                        executor.proceed(1, forever)
                    came += self._some(executor, 1)
                    told.append(_rows(came))
                finally:
                    executor.close()
            both = min(map(len, told))
            assert told[0][:both] == told[1][:both]

    def test_a_recall_of_work_that_waits_is_nothing(self, tmp_path: Path) -> None:
        """Work that waits is answered once, and keeps the lease that it is given."""
        executor = self._opened(tmp_path, counting)
        try:
            executor.start(0, Assignment(1, 0, 0, 0, {}, None, Lease(until=2.0)))
            self._until(executor, 1, waiting=True)
            executor.recall(1)
            executor.proceed(1, Lease(until=500.0))
            came = self._until(executor, 1, waiting=True)
            assert (came[0].blocks[0].first, came[-1].blocks[-1].last) == (3, 500)
        finally:
            executor.close()

    def test_a_recall_of_work_that_is_over_is_nothing(self, tmp_path: Path) -> None:
        """Work that has ended, was stopped or never was is not recalled, nor is what follows it in its slot."""
        executor = self._opened(tmp_path, ending)
        try:
            config = {"how": "return", "at": 4}
            executor.start(0, Assignment(1, 0, 0, 0, config, None, Lease(until=9.0)))
            self._until(executor, 1)
            executor.recall(1)
            executor.recall(77)
            executor.start(0, Assignment(2, 1, 0, 0, config, None, Lease(until=2.0)))
            assert self._until(executor, 2, waiting=True)[-1].blocks[-1].last == 2
            executor.stop(2)
            executor.recall(2)
            executor.start(0, Assignment(3, 2, 0, 0, config, None, Lease(until=9.0)))
            came = self._until(executor, 3)
            assert not any(handover.waiting for handover in came)
            assert came[-1].ended
        finally:
            executor.close()

    def test_recalled_work_can_be_stopped(self, tmp_path: Path) -> None:
        """Stopped instead of answered, or before it has heard of the recall, it leaves, and its slot serves another."""
        executor = self._opened(tmp_path, counting)
        try:
            for work, waits in ((1, True), (3, False)):
                executor.start(0, Assignment(work, 0, 0, 0, {}, None, Lease(until=float("inf"))))
                executor.recall(work)
                if waits:
                    self._until(executor, work, waiting=True)
                executor.stop(work)
                executor.start(0, Assignment(work + 1, 1, 0, 0, {}, None, Lease(until=3.0)))
                assert self._until(executor, work + 1, waiting=True)[-1].blocks[-1].last == 3
                executor.stop(work + 1)
        finally:
            executor.close()

    def test_work_that_hangs_is_ended(self, tmp_path: Path) -> None:
        """Where work can be killed, one that says nothing for too long fails, and its slot serves another."""
        executor = self._opened(tmp_path, hanging, report_timeout_s=0.5)
        try:
            if executor.kills:
                for work in (1, 2):
                    executor.start(0, Assignment(work, 0, 0, 0, {"seconds": 3600}, None, Lease(until=9.0)))
                    error = str(self._until(executor, work)[-1].error)
                    assert "no report for 0.5 s (FailureConfig(report_timeout_s=0.5))" in error
        finally:
            executor.close()

    # ------------------------------------------------------------------ whole runs

    def _run(self, tmp_path: Path, function: Any, slots: int = 2, **config: Any) -> ramet.ResultGrid:
        """Train four members for 12 iterations, with decisions every 3."""
        mutations = {"rate": ramet.uniform(0.1, 2.0)}
        scheduler = ramet.PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=3, hyperparam_mutations=mutations, synch=True
        )
        return ramet.Tuner(
            function,
            param_space={"rate": ramet.uniform(0.1, 2.0), **config},
            tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=4, seed=3),
            run_config=ramet.RunConfig(
                name="run",
                storage_path=tmp_path,
                stop={"training_iteration": 12},
                verbose=0,
                executor=self.make(slots),
                failure_config=ramet.FailureConfig(max_failures=config.get("retries", 0)),
            ),
        ).fit()

    def test_tells_the_same_story_as_one_slot_in_this_thread(self, tmp_path: Path) -> None:
        """A synchronous run depends on its seed alone: same events, rows and checkpoints with 1, 2 and 8 slots."""
        reference = _Inline()._run(tmp_path / "reference", counting, 1)
        assert reference.num_errors == 0
        for slots in (1, 2, 8):
            run = self._run(tmp_path / str(slots), counting, slots)
            assert story(run.experiment_path) == story(reference.experiment_path)

    def test_directories_are_taken_over(self, tmp_path: Path) -> None:
        """Directory checkpoints, small and large, copied or handed out, reach the clone whole."""
        for number, config in enumerate(({"size": 10}, {"size": 300_000}, {"size": 300_000, "given": True})):
            run = self._run(tmp_path / str(number), writing, **config)
            assert run.num_errors == 0, run.errors
            assert [len(result.metrics_dataframe) for result in run] == [12] * 4

    def test_endings(self, tmp_path: Path) -> None:
        """However a function ends, its member alone ends with it, and says why."""
        table = {
            "return": None,
            "dict": None,
            "raise": "ValueError: the data are gone",
            "exit": "sys.exit(3)",
            "bad report": "which is no metric",
        }
        for how, words in table.items():
            run = self._run(tmp_path / how.replace(" ", "-"), ending, how=how, at=ramet.grid_search([5, 99]))
            failed = [result for result in run if result.error is not None]
            assert len(failed) == (0 if words is None else 4), how
            assert all(words in str(result.error) for result in failed if words is not None)
            assert all(result.iteration == 12 for result in run if result.config["at"] == 99)

    def test_a_failed_member_goes_on_from_its_checkpoint(self, tmp_path: Path) -> None:
        """A retry starts from the last checkpoint, so no row is there twice; used up, retries end the member."""
        run = self._run(tmp_path, ending, how="raise", at=5, retries=2)
        assert run.num_errors == 4
        for result in run:
            assert list(result.metrics_dataframe["training_iteration"]) == [1, 2, 3, 4]
            assert run.population.members[result.member].failures == 3

    def test_output_is_told_with_its_member(self, tmp_path: Path) -> None:
        """What functions print is told of, whole lines with the member that printed them."""
        if not self.captures_output:
            return
        executor = self._opened(tmp_path, printing, slots=2)
        try:
            for member in (0, 1):
                config = {"word": f"number {member}"}
                executor.start(member, Assignment(member + 1, member, member, 0, config, None, Lease(until=9.0)))
            told: dict[int | None, str] = {}
            limit = time.monotonic() + LIMIT
            while time.monotonic() < limit and (
                len(told) < 2 or not all(text.count("\n") == 2 for text in told.values())
            ):
                for message in executor.poll(0.1):
                    if isinstance(message, Output):
                        told[message.member] = told.get(message.member, "") + message.text
            assert {m: sorted(text.splitlines()) for m, text in told.items()} == {
                m: ["from below", f"from python number {m}"] for m in (0, 1)
            }
        finally:
            executor.close()

    def test_a_function_that_will_not_leave_loses_its_place_only(self, tmp_path: Path) -> None:
        """Swallowing the unwinding exception costs a worker, not the run."""
        if not self.loses_refusers:
            return
        run = self._run(tmp_path, ending, how="swallow", at=ramet.grid_search([2, 99]))
        assert all(result.iteration == 12 for result in run)


def _rows(came: list[Handover]) -> list[list[Any]]:
    """Return the values of all rows, in their order."""
    return [row for handover in came for block in handover.blocks for row in decoded(block.rows)[1]]


class _Inline(ExecutorSuite):
    """The reference: suspended functions in this thread."""

    def make(self, slots: int) -> Executor:
        return ramet.InlineExecutor(slots)
