"""Rows as arrays of JAX: one compiled program for the run, sharded over devices where there are several."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ramet.draws import entropy
from ramet.errors import ConfigError, TrainableError
from ramet.executor.endings import where
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.values import Values
from ramet.vectorized import VectorTrainable

AXIS = "members"


def _base(seed: int, what: str) -> Any:
    """Return the key that all keys for ``what`` are folded from."""
    bits = entropy(seed, "vector", what)
    return jax.random.wrap_key_data(jnp.array([bits & 0xFFFFFFFF, bits >> 32 & 0xFFFFFFFF], jnp.uint32))


def _devices(asked: Any) -> list[Any]:
    """Return the devices that were asked for.

    Raises:
        ConfigError: there are not so many, or those are none.
    """
    there: list[Any] = jax.devices()
    if asked is None:
        return there[:1]
    if isinstance(asked, int):
        if not 0 < asked <= len(there):
            raise ConfigError(
                f"VectorExecutor(devices={asked}): JAX has {len(there)} here ({there[0].platform}); on a CPU, "
                "XLA_FLAGS=--xla_force_host_platform_device_count=8 makes eight of it"
            )
        return there[:asked]
    devices = list(asked)
    if not devices or any(device not in there for device in devices):
        raise ConfigError(f"VectorExecutor(devices={asked!r}) must be some of jax.devices(), or how many of them")
    return devices


class JaxProgram:
    """See `ramet.executor.vector.program.Program`.

    Args:
        trainable: the user's functions.
        values: which hyperparameters are arrays.
        rows: how many members a block has at least; it is made a multiple of the number of devices.
        seed: the run's.
        devices: where the rows live, in equal parts: devices, or how many of them; the first by default.
    """

    def __init__(self, trainable: VectorTrainable, values: Values, rows: int, seed: int, devices: Any = None) -> None:
        self._trainable, self._values = trainable, values
        self._devices = _devices(devices)
        self.rows = -(-rows // len(self._devices)) * len(self._devices)
        mesh = Mesh(np.array(self._devices), (AXIS,))
        self._by_row, self._everywhere = NamedSharding(mesh, PartitionSpec(AXIS)), NamedSharding(mesh, PartitionSpec())
        # Arguments, not constants, or every seed would be a program of its own for JAX's persistent cache.
        bases = _base(seed, "init"), (_base(seed, "step"), _base(seed, "evaluate"))
        self._beginnings, self._bases = jax.device_put(bases, self._everywhere)
        row, same = PartitionSpec(AXIS), PartitionSpec()
        begin = jax.shard_map(self._begin, mesh=mesh, in_specs=(same, row, row), out_specs=row, check_vma=False)
        self._begun = jax.jit(begin)
        self._train_of = functools.cache(functools.partial(self._compiled, mesh))
        self._moved = jax.jit(_moved, donate_argnums=0, out_shardings=self._by_row)
        self._written = jax.jit(_written, donate_argnums=0, out_shardings=self._by_row)
        self._taken = jax.jit(_taken, out_shardings=self._everywhere)
        self._keys: list[Any] = []
        one = self._traced()
        self._tree = jax.tree.structure(one)
        self._names = ["/".join(map(_part, path)) for path, _ in jax.tree_util.tree_leaves_with_path(one)]

    def _traced(self) -> Any:
        """Go through the user's functions without numbers; return the state of one row as shapes.

        Raises:
            TrainableError: that cannot be done.
        """
        shapes = jax.ShapeDtypeStruct((1,), jnp.uint32)
        segments, arrays = self._shapes(1)
        try:
            one = jax.eval_shape(self._looked_at, self._beginnings, segments, arrays)
            train = functools.partial(self._train, 1)
            _, metrics = jax.eval_shape(train, one, self._bases, segments, shapes, arrays)
        except Exception as error:
            raise TrainableError(self._why(error)) from error
        self.reported = list(metrics)
        if not metrics:
            raise TrainableError("step returns an empty dict of metrics: return at least one number")
        for name, metric in metrics.items():
            if not any(jnp.issubdtype(metric.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)):
                raise TrainableError(f"the metric {name!r} is of type {metric.dtype}: report a number, or a truth")
            if metric.shape[2:]:
                raise TrainableError(
                    f"the metric {name!r} is an array of shape {metric.shape[2:]} for each member: report one number, "
                    "its mean, say"
                )
        return one

    def _why(self, error: Exception) -> str:
        """Return why the functions cannot be mapped, and name the hyperparameters that are the reason."""
        guilty = [name for name in self._values.dtypes if not self._goes_with(name)] if self._goes_with() else []
        told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}{where(error)}"
        if not guilty:
            return (
                f"VectorTrainable({self._trainable.__name__}) cannot be trained as rows of one program: {told}. init "
                "and step must be functions of jax.numpy arrays, and step must return a state like that of init and a "
                "dict of metrics"
            )
        return (
            f"members differ in {', '.join(map(repr, guilty))}, and init or step lets that decide a shape or a branch "
            f"({told}): in one program for all members it is an array. Let all members have the same, write the branch "
            "with jax.numpy.where or jax.lax.switch (a width as a mask over the largest), or train members apart with "
            "RunConfig(executor='process')"
        )

    def _goes_with(self, *names: str) -> bool:
        """Whether the functions can be gone through if ``names`` alone are arrays."""
        everything, self._values = self._values, self._values.only(names)
        try:
            segments, arrays = self._shapes(1)
            one = jax.eval_shape(self._begin, self._beginnings, segments, arrays)
            jax.eval_shape(functools.partial(self._train, 1), one, self._bases, segments, segments, arrays)
        except Exception:
            return False
        finally:
            self._values = everything
        return True

    def _looked_at(self, *arguments: Any) -> Any:
        """Begin one row, and note which leaves are keys, and of which kind: on the host they are numbers."""
        one = self._begin(*arguments)
        self._keys = [jax.random.key_impl(leaf) if _is_key(leaf) else None for leaf in jax.tree.leaves(one)]
        return one

    # ------------------------------------------------------------------ what is compiled

    def _mapped(self, function: Any, *arguments: Any) -> Any:
        """Call a function of the user's for every row, the hyperparameters last but one as dicts."""
        *others, arrays, keys = arguments

        def one(*row: Any) -> Any:
            *others, arrays, key = row
            hparams = self._values.whole(arrays)
            return function(key, hparams) if function is self._trainable.init else function(*others, hparams, key)

        return one(*others, arrays, keys) if self._trainable.batched else jax.vmap(one)(*others, arrays, keys)

    def _begin(self, base: Any, segments: Any, arrays: Any) -> Any:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(base, segments)
        # With a type of their own: Python's numbers would take that of what step returns, and it be compiled twice.
        state = jax.tree.map(jnp.asarray, self._mapped(self._trainable.init, arrays, keys))
        return jax.tree.map(lambda leaf: leaf if _is_key(leaf) else jnp.asarray(leaf, leaf.dtype), state)

    def _compiled(self, mesh: Mesh, reports: int) -> Any:
        row, same, by_report = PartitionSpec(AXIS), PartitionSpec(), PartitionSpec(None, AXIS)
        train, given = functools.partial(self._train, reports), (row, same, row, row, row)
        mapped = jax.shard_map(train, mesh=mesh, in_specs=given, out_specs=(row, by_report), check_vma=False)
        return jax.jit(mapped, donate_argnums=0)

    def _train(self, reports: int, state: Any, bases: Any, segments: Any, iterations: Any, arrays: Any) -> Any:
        steps, evaluations = bases
        folded = jax.vmap(jax.random.fold_in)
        of_steps = jax.vmap(jax.random.fold_in, (None, 0))(steps, segments)
        of_evaluations = jax.vmap(jax.random.fold_in, (None, 0))(evaluations, segments)
        count, trainable = self._trainable.steps_per_report, self._trainable

        def step(state: Any, at: Any) -> Any:
            state, metrics = self._mapped(trainable.step, state, arrays, folded(of_steps, at))
            return state, _flat(metrics)

        def report(state: Any, number: Any) -> Any:
            first = (iterations + number) * count
            if count == 1:
                after, metrics = step(state, first)
            else:
                after, told = jax.lax.scan(lambda state, at: step(state, first + at), state, jnp.arange(count))
                metrics = {name: jnp.mean(values, 0) for name, values in told.items()}
            if trainable.evaluate is not None:
                keys = folded(of_evaluations, iterations + number)
                metrics |= _flat(self._mapped(trainable.evaluate, after, arrays, keys))
            return after, metrics

        return jax.lax.scan(report, state, jnp.arange(reports))

    # ------------------------------------------------------------------ rows

    def _shapes(self, rows: int) -> tuple[Any, dict[str, Any]]:
        arrays = {name: jax.ShapeDtypeStruct((rows,), dtype) for name, dtype in self._values.dtypes.items()}
        return jax.ShapeDtypeStruct((rows,), jnp.uint32), arrays

    def _given(self, segments: npt.NDArray[Any], hparams: Mapping[str, npt.NDArray[Any]]) -> tuple[Any, Any]:
        given: tuple[Any, Any] = jax.device_put((segments.astype(np.uint32), dict(hparams)), self._by_row)
        return given

    def begin(self, segments: npt.NDArray[np.int64], hparams: Mapping[str, npt.NDArray[Any]]) -> Any:
        """See `ramet.executor.vector.program.Program`."""
        return self._begun(self._beginnings, *self._given(segments, hparams))

    def train(
        self,
        block: Any,
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Mapping[str, npt.NDArray[Any]],
    ) -> tuple[Any, Any]:
        """See `ramet.executor.vector.program.Program`."""
        named, arrays = self._given(segments, hparams)
        begun = jax.device_put(iterations.astype(np.uint32), self._by_row)
        after, pending = self._train_of(reports)(block, self._bases, named, begun, arrays)
        return after, pending

    def metrics(self, pending: Any) -> dict[str, npt.NDArray[Any]]:
        """See `ramet.executor.vector.program.Program`."""
        metrics: dict[str, npt.NDArray[Any]] = jax.device_get(pending)
        return metrics

    def move(self, block: Any, to: Sequence[int], of: Sequence[int]) -> Any:
        """See `ramet.executor.vector.program.Program`."""
        return self._moved(block, *_padded(self.rows, to, of))

    def take(self, block: Any, rows: Sequence[int]) -> Leaves:
        """See `ramet.executor.vector.program.Program`."""
        if len(rows) == self.rows and list(rows) == list(range(self.rows)):
            taken = block
        else:
            taken = self._taken(block, _padded(self.rows, rows)[0])
        leaves = zip(jax.tree.leaves(taken), self._keys, strict=True)
        plain = [leaf if impl is None else jax.random.key_data(leaf) for leaf, impl in leaves]
        # A copy: what is on the host is a view of the block's own memory, which the next dispatch writes over.
        return [np.array(leaf)[: len(rows)] for leaf in plain]

    def put(self, block: Any, rows: Sequence[int], leaves: Leaves) -> Any:
        """See `ramet.executor.vector.program.Program`."""
        at = _padded(self.rows, rows)[0]
        given = [np.concatenate([leaf, leaf[-1:].repeat(len(at) - len(rows), 0)]) for leaf in leaves]
        return self._written(block, at, self._as_tree(given))

    def names(self) -> list[str]:
        """See `ramet.executor.vector.program.Program`."""
        return self._names

    def tree(self, leaves: Leaves) -> Any:
        """See `ramet.executor.vector.program.Program`."""
        return jax.tree.map(lambda leaf: leaf[0], self._as_tree(leaves))

    def _as_tree(self, leaves: Leaves) -> Any:
        arrays = [
            leaf if impl is None else jax.random.wrap_key_data(jnp.asarray(leaf), impl=impl)
            for leaf, impl in zip(leaves, self._keys, strict=True)
        ]
        return jax.tree.unflatten(self._tree, arrays)


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _moved(block: Any, to: Any, of: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.at[to].set(leaf[of]), block)


def _written(block: Any, to: Any, rows: Any) -> Any:
    return jax.tree.map(lambda leaf, row: leaf.at[to].set(row), block, rows)


def _taken(block: Any, of: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[of], block)


def _padded(rows: int, *indices: Sequence[int]) -> list[npt.NDArray[np.int32]]:
    """Return indices at the next power of two many, the last repeated: a program is compiled for each length."""
    length = min(rows, 1 << max(len(indices[0]) - 1, 0).bit_length())
    return [np.array([*each, *[each[-1]] * (length - len(each))], np.int32) for each in indices]


def _flat(metrics: Any) -> dict[str, Any]:
    """Return metrics by name, those in dicts of dicts with the path to them."""
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics are a {type(metrics).__name__}, not a dict")
    found = jax.tree_util.tree_leaves_with_path(metrics)
    return {"/".join(map(_part, path)): _wide(jnp.asarray(leaf)) for path, leaf in found}


def _wide(metric: Any) -> Any:
    """Return a metric of a half precision as one that can be added up, and that numpy knows."""
    half = jnp.issubdtype(metric.dtype, jnp.floating) and metric.dtype.itemsize < 4
    return metric.astype(jnp.float32) if half else metric


def _part(key: Any) -> str:
    """Return one part of the path to a leaf as its name."""
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)
