"""Rows as tensors of PyTorch: one member's functions mapped by `torch.func.vmap`, step by step, on one device."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils import _pytree as pytree

from ramet.draws import entropy
from ramet.errors import ConfigError, TrainableError
from ramet.executor.vector.philox import fold_in, key
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.values import Values
from ramet.vectorized import VectorTrainable

Arrays = dict[str, torch.Tensor]
Function = Callable[[list[torch.Tensor], dict[str, Any], torch.Tensor], Any]
"""What is mapped: of leaves, hyperparameters and a key."""

LOOKED = "data-dependent control flow", "calling .item()", "Cannot access data pointer"
DREW = "called random operation"
"""How torch complains of functions that look at a value, or draw, while they are mapped."""

WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Types by their bytes."""

NOT_THE_USERS = str(Path(torch.__file__).parent), str(Path(__file__).parents[2])


class Rows(NamedTuple):
    """A block: its leaves, and whether nobody else can hold their memory, so that rows can be written in place."""

    leaves: list[torch.Tensor]
    ours: bool


class TorchProgram:
    """See `ramet.executor.vector.program.Program`.

    Only `metrics` and `take` wait for the device. Nothing is compiled: the functions' operations run one after the
    other, each of them for all rows.

    Args:
        trainable: the user's functions, which are tried once, on two rows.
        values: which hyperparameters are arrays.
        rows: how many members a block has.
        seed: the run's.
        devices: where the rows live, one device or its name; by default what `torch.get_default_device` says.

    Raises:
        ConfigError: there are several devices.
        TrainableError: a function looks at the value of a hyperparameter, draws from torch's own generators, or returns
            what cannot be a row's.
    """

    def __init__(self, trainable: VectorTrainable, values: Values, rows: int, seed: int, devices: Any = None) -> None:
        self.rows, self._trainable, self._values = rows, trainable, values
        self._device = _one_device(devices)
        keys = (key(entropy(seed, "vector", what), self._device) for what in ("init", "step", "evaluate"))
        self._beginnings, self._steps, self._evaluations = keys
        self._tree: Any = None
        self._names: list[str] = []
        self._present: list[bool] = []
        self._try()

    # ------------------------------------------------------------------ what is mapped

    def _init(self, _: list[torch.Tensor], hparams: dict[str, Any], key: torch.Tensor) -> list[torch.Tensor]:
        state = self._trainable.init(key, hparams)
        if self._tree is None:
            found, self._tree = pytree.tree_flatten_with_path(state)
            self._names = ["/".join(map(_part, path)) for path, leaf in found if leaf is not None]
            self._present = [leaf is not None for _, leaf in found]
        return self._leaves(state, "init")

    def _step(self, leaves: list[torch.Tensor], hparams: dict[str, Any], key: torch.Tensor) -> Any:
        returned = self._trainable.step(self._state(leaves), hparams, key)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise TrainableError(f"step() returned {returned!r:.80}: it must return (state, metrics)")
        return self._leaves(returned[0], "step"), self._flat(returned[1], "step")

    def _evaluate(self, leaves: list[torch.Tensor], hparams: dict[str, Any], key: torch.Tensor) -> Arrays:
        assert self._trainable.evaluate is not None
        return self._flat(self._trainable.evaluate(self._state(leaves), hparams, key), "evaluate")

    def _mapped(
        self,
        function: Function,
        leaves: list[torch.Tensor],
        arrays: Arrays,
        keys: torch.Tensor,
        fixed: Mapping[str, torch.Tensor] | None = None,
    ) -> Any:
        """Call a function for every row; hyperparameters that are ``fixed`` are the same for all."""

        def one(leaves: list[torch.Tensor], arrays: Arrays, key: torch.Tensor) -> Any:
            return function(leaves, self._values.whole({**arrays, **(fixed or {})}), key)

        if self._trainable.batched:
            return one(leaves, arrays, keys)
        with torch.no_grad():  # torch.func.grad inside does not see this; what is closed over builds no graph
            return torch.func.vmap(one)(leaves, arrays, keys)

    # ------------------------------------------------------------------ states and their leaves

    def _state(self, leaves: Sequence[torch.Tensor]) -> Any:
        """Return leaves as what ``init`` returns, where there may be None between them."""
        rest = iter(leaves)
        return pytree.tree_unflatten([next(rest) if present else None for present in self._present], self._tree)

    def _leaves(self, state: Any, source: str) -> list[torch.Tensor]:
        """Return the leaves of a state in the order of those of ``init``."""
        try:
            found = self._tree.flatten_up_to(state)
        except ValueError as error:
            raise TrainableError(f"{source}() returned a state of another shape than init() does: {error}") from error
        if [leaf is not None for leaf in found] != self._present:
            raise TrainableError(f"{source}() returned a state that is None elsewhere than that of init()")
        named = zip(self._names, (leaf for leaf in found if leaf is not None), strict=True)
        return [self._tensor(leaf, f"{source}(): the state's {name or 'only leaf'}") for name, leaf in named]

    def _flat(self, metrics: Any, source: str) -> Arrays:
        """Return metrics by name, those in dicts of dicts with the path to them."""
        if not isinstance(metrics, Mapping):
            raise TrainableError(f"{source}() returned the metrics {metrics!r:.80}: they must be a dict of numbers")
        found = {"/".join(map(_part, path)): leaf for path, leaf in pytree.tree_leaves_with_path(metrics)}
        return {name: self._tensor(leaf, f"{source}(): the metric {name!r}") for name, leaf in found.items()}

    def _tensor(self, leaf: Any, what: str) -> torch.Tensor:
        if isinstance(leaf, torch.Tensor):
            return leaf
        if isinstance(leaf, (bool, int, float, complex, np.ndarray, np.generic)):
            return torch.as_tensor(leaf, device=self._device)
        raise TrainableError(
            f"{what} is a {type(leaf).__name__}: only tensors and numbers can be a row's. Close over what all "
            "members share; of a torch.nn.Module, take the parameters (torch.func.functional_call)"
        )

    # ------------------------------------------------------------------ what is tried first

    def _try(self) -> None:
        """Run every function once, on two rows, and refuse what would not do for all."""
        config = self._values.whole({})
        arrays, two = self._given(self._values.arrays([config, config])), torch.arange(2, device=self._device)
        before = self._tried(self._init, [], arrays, fold_in(self._beginnings, two))
        self._check(self._names, before, "init(): the state's")
        before = _own(Rows(before, False)).leaves
        self._dtypes = [leaf.dtype for leaf in before]
        after, metrics = self._tried(self._step, before, arrays, fold_in(self._steps, two))
        self._check(self._names, after, "step(): the state's")
        for name, old, new in zip(self._names, before, after, strict=True):
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                raise TrainableError(
                    f"the state's {name or 'only leaf'} is {_kind(old)} after init() and {_kind(new)} after step(): it "
                    "must stay what it is, for all rows are kept as one tensor"
                )
        if self._trainable.evaluate is not None:
            metrics |= self._tried(self._evaluate, after, arrays, fold_in(self._evaluations, two))
        self.reported = list(metrics)
        self._check(self.reported, list(metrics.values()), "the metric")
        for name, values in metrics.items():
            if values.shape != (2,):
                raise TrainableError(
                    f"the metric {name!r} is {_kind(values)}: a metric must be one number for each member"
                )

    def _check(self, names: Sequence[str], tensors: Sequence[torch.Tensor], what: str) -> None:
        """Refuse tensors of two rows that lie elsewhere, or have no axis of the members."""
        for name, tensor in zip(names, tensors, strict=True):
            if tensor.device != self._steps.device:
                raise TrainableError(
                    f"{what} {name!r} lies on {tensor.device}, the population on {self._steps.device}: make tensors on "
                    "the key's device (device=key.device), or call torch.set_default_device() before the run"
                )
            if tensor.shape[:1] != (2,):
                raise TrainableError(
                    f"{what} {name!r} is of shape {tuple(tensor.shape)} for two members: with batched=True the first "
                    "axis of all that functions return is the member's"
                )

    def _tried(self, function: Function, leaves: list[torch.Tensor], arrays: Arrays, keys: torch.Tensor) -> Any:
        """Map a function, and say what is wrong with it in words of the user's own."""
        try:
            return self._mapped(function, leaves, arrays, keys)
        except TrainableError:
            raise
        except Exception as error:
            told, name, place = str(error), function.__name__.removeprefix("_"), _place(error)
            if DREW in told:
                raise TrainableError(
                    f"{name}() draws from a generator of torch ({place}), which all members would share: draw by the "
                    "key that it is given, with ramet.integrations.torch_random"
                ) from error
            if not any(words in told for words in LOOKED):
                raise TrainableError(
                    f"{name}() fails when it is tried on two members ({place}): {type(error).__name__}: {told:.400}"
                ) from error
            names = " and ".join(map(repr, self._looked_at(function, leaves, arrays, keys)))
            raise TrainableError(
                f"{name}() looks at the value of {f'the hyperparameter {names}' if names else 'a tensor'} ({place}), "
                "but it runs once for all members, and each has its own: write torch.where(condition, a, b) for if, "
                "close over a value that all members share, or train a function of one member with "
                "RunConfig(executor='process')"
            ) from error

    def _looked_at(
        self, function: Function, leaves: list[torch.Tensor], arrays: Arrays, keys: torch.Tensor
    ) -> list[str]:
        """Return the hyperparameters that a function needs one value of; none if that is not what it lacks."""

        def works(*names: str) -> bool:
            mapped = {name: array for name, array in arrays.items() if name in names}
            fixed = {name: array[0] for name, array in arrays.items() if name not in names}
            try:
                self._mapped(function, leaves, mapped, keys, fixed)
            except Exception:
                return False
            return True

        return [name for name in arrays if not works(name)] if works() else []

    # ------------------------------------------------------------------ rows

    def _given(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        return {name: self._sent(array) for name, array in arrays.items()}

    def _sent(self, numbers: Any) -> torch.Tensor:
        """Return numbers of the host's as a tensor on the device, in memory of its own, without waiting."""
        return torch.tensor(numbers).to(self._device, non_blocking=True)

    def _at(self, rows: Sequence[int]) -> torch.Tensor:
        return self._sent(np.array(rows, np.int64))

    def begin(self, segments: npt.NDArray[np.int64], hparams: Mapping[str, npt.NDArray[Any]]) -> Rows:
        """See `ramet.executor.vector.program.Program`."""
        keys = fold_in(self._beginnings, self._sent(segments))
        return _own(Rows(self._mapped(self._init, [], self._given(hparams), keys), False))

    def train(
        self,
        block: Rows,
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Mapping[str, npt.NDArray[Any]],
    ) -> tuple[Rows, list[Arrays]]:
        """See `ramet.executor.vector.program.Program`."""
        leaves, arrays, count = block.leaves, self._given(hparams), self._trainable.steps_per_report
        begun, reported = self._sent(segments), self._sent(iterations)
        of_steps, of_evaluations = fold_in(self._steps, begun), fold_in(self._evaluations, begun)
        numbers, pending = torch.arange(count, device=self._device)[:, None], []
        for iteration in range(reports):
            told: list[Arrays] = []
            for keys in fold_in(of_steps, (reported + iteration) * count + numbers):
                after, metrics = self._mapped(self._step, leaves, arrays, keys)
                leaves = [leaf.detach().contiguous() for leaf in after]
                told.append({name: value.detach().clone() for name, value in metrics.items()})
            means = {name: _mean([metrics[name] for metrics in told]) for name in told[0]}
            if self._trainable.evaluate is not None:
                keys = fold_in(of_evaluations, reported + iteration)
                found = self._mapped(self._evaluate, leaves, arrays, keys)
                means |= {name: value.detach().clone() for name, value in found.items()}
            pending.append(means)
        return Rows(leaves, False), pending

    def metrics(self, pending: list[Arrays]) -> dict[str, npt.NDArray[Any]]:
        """See `ramet.executor.vector.program.Program`."""
        return {name: _on_host(torch.stack([means[name] for means in pending])) for name in pending[0]}

    def move(self, block: Rows, to: Sequence[int], of: Sequence[int]) -> Rows:
        """See `ramet.executor.vector.program.Program`."""
        block, at, sources = _own(block), self._at(to), self._at(of)
        for leaf in block.leaves:
            _bits(leaf).index_copy_(0, at, _bits(leaf[sources]))
        return block

    def take(self, block: Rows, rows: Sequence[int]) -> Leaves:
        """See `ramet.executor.vector.program.Program`."""
        at = self._at(rows)
        return [_on_host(leaf[at]) for leaf in block.leaves]

    def put(self, block: Rows, rows: Sequence[int], leaves: Leaves) -> Rows:
        """See `ramet.executor.vector.program.Program`."""
        block, at = _own(block), self._at(rows)
        for leaf, new in zip(block.leaves, leaves, strict=True):
            _bits(leaf).index_copy_(0, at, _bits(self._sent(new).to(leaf.dtype)))
        return block

    def names(self) -> list[str]:
        """See `ramet.executor.vector.program.Program`."""
        return self._names

    def tree(self, leaves: Leaves) -> Any:
        """See `ramet.executor.vector.program.Program`."""
        return self._state(
            [torch.tensor(leaf[0], dtype=dtype) for leaf, dtype in zip(leaves, self._dtypes, strict=True)]
        )


def _one_device(devices: Any) -> torch.device:
    """Return the device that is meant by the executor's argument."""
    several = isinstance(devices, (list, tuple))
    if (len(devices) if several else devices if isinstance(devices, int) else 1) != 1:
        raise ConfigError(
            f"VectorExecutor(devices={devices!r}): in torch a population lives on one device. Give one, such as "
            "devices=['cuda:0'], or write the functions in JAX, which shares a population out among several"
        )
    if devices is None or isinstance(devices, int):
        return torch.get_default_device()
    return torch.device(devices[0] if several else devices)


def _own(block: Rows) -> Rows:
    """Return a block that can be written: what functions return may be shared, with their constants or among leaves."""
    if block.ours:
        return block
    return Rows([leaf.detach().clone(memory_format=torch.contiguous_format) for leaf in block.leaves], True)


def _mean(values: list[torch.Tensor]) -> torch.Tensor:
    """Return the mean over steps; of one, it is the value as it is."""
    if len(values) == 1:
        return values[0]
    together = torch.stack(values)
    return (together if together.is_floating_point() else together.float()).mean(0)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """Return the same memory as whole numbers, of which torch can write rows, as it cannot of every small float."""
    return tensor.view(WHOLE[tensor.itemsize]) if tensor.itemsize in WHOLE else tensor


def _on_host(tensor: torch.Tensor) -> npt.NDArray[Any]:
    tensor = tensor.cpu()
    try:
        array: npt.NDArray[Any] = tensor.numpy()
    except TypeError:  # numpy has no bfloat16 and nothing smaller; float32 holds them exactly
        array = tensor.float().numpy()
    return array


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape[1:])}"


def _place(error: BaseException) -> str:
    """Return the line of the user's code that an error comes from."""
    frames = list(traceback.extract_tb(error.__traceback__))
    own = [frame for frame in frames if not frame.filename.startswith(NOT_THE_USERS)]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}, {frame.line!r:.80}"


def _part(key: Any) -> str:
    """Return one part of the path to a leaf as its name."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
