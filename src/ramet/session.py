"""What a training function calls: `report`, `get_checkpoint`, `should_checkpoint`, `get_context`, `rng`.

Outside a run they do the sensible thing (report prints), so that the function can be tried alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.errors import ReportError

if TYPE_CHECKING:
    import numpy as np

    from ramet.checkpoint import Checkpoint
    from ramet.executor.worker import Session

# One for the process: user code may report from a thread of its own, where a context variable would be empty.
# An executor that suspends functions sets it whenever it switches.
_current: Session | None = None
_alone: dict[str, Any] = {}

_NOTHING_TO_PIN = (
    "report(…, pin=True) has no checkpoint to keep: pass checkpoint= with it, or leave pin= out of this report"
)


def enter(session: Session | None) -> Session | None:
    """Make ``session`` the one that user code talks to; return the one before. For executors."""
    global _current
    before, _current = _current, session
    return before


def leave(before: Session | None) -> None:
    """Go back to the session that `enter` returned. For executors."""
    global _current
    _current = before


@dataclass(frozen=True, slots=True)
class Context:
    """Where the training function is running.

    ``member`` and ``run`` name it, ``iteration`` counts the model's reports so far, ``slot`` is the place it runs in,
    ``seed`` an integer of this segment's own, the same whenever it is trained again. Outside a run ``member`` is None.
    """

    member: int | None
    run: str | None
    iteration: int
    slot: int | None
    seed: int

    def get_trial_id(self) -> str | None:
        """Return the member's number as Ray Tune's scripts expect it, five digits."""
        return None if self.member is None else f"{self.member:05d}"

    get_trial_name = get_trial_id

    def get_experiment_name(self) -> str | None:
        """Return the run's name."""
        return self.run


def report(metrics: Mapping[str, Any], checkpoint: Checkpoint | None = None, *, pin: bool = False) -> None:
    """Report one iteration, and with ``checkpoint`` the state that training can go on from.

    Args:
        metrics: name -> number, string or boolean; nested dicts become ``"a/b"``. Scalars of numpy, torch and JAX are
            taken as numbers. A true ``"done"`` ends this member.
        checkpoint: `Checkpoint.from_dict` or `Checkpoint.from_directory`. A decision needs one: it is taken at the
            first report with a checkpoint at or past the decision point.
        pin: keep this checkpoint for good, whatever ``num_to_keep`` and ``max_bytes`` say.

    A report that ends the lease waits for the decision. If the member is to become a clone, or its place is needed, an
    exception derived from BaseException leaves the function here; do not catch it, clean up in ``finally``.

    Raises:
        ReportError: ``metrics`` is no dict, or holds what is no metric, or there is no checkpoint to pin. The member
            fails, the run goes on.

    >>> report({"loss": 0.25})
    iteration 1: loss=0.25
    """
    if pin and checkpoint is None:
        raise ReportError(_NOTHING_TO_PIN)
    if _current is None:
        _print_alone(metrics, checkpoint)
    else:
        _current.report(metrics, checkpoint, pin)


def get_checkpoint() -> Checkpoint | None:
    """Return the checkpoint to continue from, None at the very start. It may be another member's: then this is a clone.

    Read it before the first draw of random numbers of the training loop, for then the run repeats exactly: the global
    generators are seeded when it has been read.

    >>> get_checkpoint() is None
    True
    """
    return None if _current is None else _current.get_checkpoint()


def inherited(weights: Any, fresh: Any) -> Any:
    """Return the weights to begin with: those of the checkpoint, unless the strategy asks for mixed or new ones.

    Call it where you load a checkpoint, once for the weights (not for counters, nor for hyperparameters)::

        net = new_network()
        if checkpoint := ramet.get_checkpoint():
            net.load(ramet.inherited(checkpoint.to_dict()["weights"], fresh=net.weights()))

    Args:
        weights: what the checkpoint holds: arrays, tensors, floats, nested in dicts, lists and tuples.
        fresh: newly initialised weights of the same shape, or a function without arguments that makes them, which is
            called only where they are needed.

    Returns:
        ``weights`` itself where a clone is a copy, as in most strategies; ``keep * weights + share * fresh`` where the
        strategy shrinks and perturbs them (`IteratedPBT`), number by number. What is no floating point number (a count
        of batches, a name) comes from ``fresh`` wherever the weights are mixed.

    Raises:
        ReportError: the two are not of the same shape: the caller's fault.

    >>> inherited({"w": 1.0}, {"w": 0.5})
    {'w': 1.0}

    Source: Ash and Adams (2020), "On warm-starting neural network training" (shrink and perturb).
    """
    keep, share = (1.0, 0.0) if _current is None else _current.weights()
    if (keep, share) == (1.0, 0.0):
        return weights
    from ramet.mixing import mixed

    return mixed(weights, fresh() if callable(fresh) else fresh, keep, share)


def should_checkpoint() -> bool:
    """Return whether a decision waits for the next report's checkpoint: save then, and you never save in vain.

    >>> should_checkpoint()
    False
    """
    return False if _current is None else _current.should_checkpoint()


def get_context() -> Context:
    """Return where this function is running.

    >>> get_context().member is None
    True
    """
    if _current is None:
        return Context(None, None, int(_alone.get("iteration", 0)), None, 0)
    assignment, setup = _current.assignment, _current.setup
    from ramet.draws import entropy

    seed = entropy(setup.seed, "member", assignment.segment) & 0x7FFFFFFF
    return Context(assignment.member, setup.run, _current.iteration, _current.slot, seed)


def place() -> tuple[int, int, int]:
    """Return the run's seed, the segment, and the iteration that this stretch begins with. For `ramet` itself."""
    if _current is None:
        return 0, 0, 0
    return _current.setup.seed, _current.assignment.segment, _current.assignment.iteration


def is_last() -> bool:
    """Return whether a stop rule that counts reports ends this work with the next one. For `ramet` itself."""
    return False if _current is None else _current.is_last()


def rng() -> np.random.Generator:
    """Return the generator to draw from in this function: it repeats exactly, whatever else draws.

    It is seeded anew, in place, at each checkpoint that is handed over. Outside a run it is one generator for the
    process, seeded with 0.

    >>> 0 <= rng().random() < 1
    True
    """
    if _current is not None:
        return _current.rng()
    if "rng" not in _alone:
        import numpy as np

        _alone["rng"] = np.random.default_rng(0)
    generator: np.random.Generator = _alone["rng"]
    return generator


def checkpoint_dir() -> Path:
    """Return a new empty directory to write a checkpoint into, which is then taken over by rename, not copied.

    >>> directory = checkpoint_dir()
    >>> _ = (directory / "weights.bin").write_bytes(b"...")
    >>> from ramet import Checkpoint
    >>> report({"loss": 0.2}, checkpoint=Checkpoint.from_directory(directory))
    iteration 1: loss=0.2 (with a checkpoint)
    """
    if _current is not None:
        return Path(_current.checkpoint_dir())
    import tempfile

    return Path(tempfile.mkdtemp(prefix="ramet-"))


def _print_alone(metrics: Mapping[str, Any], checkpoint: Checkpoint | None) -> None:
    from ramet.checkpoint import Checkpoint
    from ramet.errors import CheckpointError
    from ramet.rows import plain

    row = plain(metrics)
    if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
        raise CheckpointError(
            f"report(checkpoint={type(checkpoint).__name__}) is no Checkpoint: give Checkpoint.from_dict(…) or "
            "Checkpoint.from_directory(…)"
        )
    _alone["iteration"] = _alone.get("iteration", 0) + 1
    told = " ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}" for name, value in row.items()
    )
    print(f"iteration {_alone['iteration']}: {told}{' (with a checkpoint)' if checkpoint is not None else ''}")
