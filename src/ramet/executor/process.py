"""Long-lived local workers: how many there are, which GPUs they see, what they are sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ramet.core.messages import Setup
from ramet.errors import ConfigError
from ramet.executor.workers import Workers
from ramet.resources import Slots, usable_cpus


class ProcessExecutor(Workers):
    """Runs members in worker processes, one to a slot; several members share a slot in turn.

    Args:
        slots: how many workers; by default as many as the capacity (`ramet.init`) holds of the trainable's resources
            (`ramet.with_resources`), but no more than there are members.

    A worker sees the GPUs of its slot alone, by ``CUDA_VISIBLE_DEVICES``; slots with a fraction of a GPU share it.

    >>> from ramet import RunConfig
    >>> RunConfig(executor=ProcessExecutor(slots=4)).executor
    ProcessExecutor(slots=4)
    """

    interactive = False
    kills = True
    together = False

    def __init__(self, slots: int | None = None) -> None:
        if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
            raise ConfigError(f"ProcessExecutor(slots={slots!r}) must be a whole number of workers, at least 1")
        super().__init__()
        self.slots = slots
        self._trainable = b""

    def __reduce__(self) -> Any:
        return type(self), (self.slots,)  # what it was asked for, not what it is at

    def __repr__(self) -> str:
        return f"ProcessExecutor(slots={self.slots})" if self.slots else "ProcessExecutor()"

    def prepare(
        self,
        trainable: Any,
        founders: Sequence[Mapping[str, Any]],
        rules: Sequence[Any],
        mutable: Collection[str] = (),
    ) -> None:
        """Pickle the trainable and the stop rules, and count the slots.

        Raises:
            TrainableError: the trainable cannot be pickled; the message names what in it cannot.
            ConfigError: what a member needs is more than there is, or a configuration cannot be pickled.
        """
        del mutable
        from ramet.executor import pickling  # here, for workers can be started before cloudpickle is there

        self._trainable = pickling.prepared(trainable, founders, rules)
        self._count_slots(trainable, len(founders))

    def _count_slots(self, trainable: Any, members: int) -> None:
        found = Slots.of(trainable, limit=members) if self.slots is None else Slots.of(trainable, count=self.slots)
        self.devices = found.devices

    def wake(self, trainable: Any, members: int) -> None:
        """Start the workers ahead of `prepare` and `open`: they import while the run is being set up.

        Raises:
            ConfigError: what a member needs is more than there is.
        """
        self._count_slots(trainable, members)
        self.spawn(limit=max(int(usable_cpus()) - 1, 1))  # one is at work here

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Let the workers load the training function; start those that are not started yet."""
        if not self._trainable:
            self.prepare(trainable, (), setup.rules)
            self._count_slots(trainable, members)
        self.serve(self._trainable, setup)
        self._trainable = b""
