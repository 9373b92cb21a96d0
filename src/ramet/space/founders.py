"""One founder: its constants, grid values and draws, and what ``sample_from`` computes from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ramet import draws
from ramet.domains import Call, Domain, GridSearch, SampleFrom, holds_domain, plain
from ramet.errors import SpaceError
from ramet.nested import Path, keys, leaves, shown

if TYPE_CHECKING:
    import numpy as np


class _NeededFirst(BaseException):
    """A sample_from read a value that is not computed yet. No ``Exception``: a user's ``except`` must not stop it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class _NoSuchKeyError(KeyError, AttributeError):
    """What both ``spec.config["x"]`` and ``spec.config.x`` raise, so that ``get`` and ``hasattr`` work as usual."""


class Founder:
    """The values of one founder: constants, grid values and draws first, then what is computed from them."""

    def __init__(self, tree: dict[str, Any], call: Call, seed: int, index: int, grid: dict[Path, Any]) -> None:
        self.tree, self.call, self.seed, self.index = tree, call, seed, index
        self.values: dict[Path, Any] = dict(grid)
        self.functions: dict[Path, SampleFrom] = {}
        for path, leaf in leaves(tree):
            if isinstance(leaf, SampleFrom):
                self.functions[path] = leaf
            elif isinstance(leaf, Domain):
                self.values[path] = leaf.sample(self.generator(path))
            elif not isinstance(leaf, GridSearch):
                self.values[path] = leaf

    def generator(self, path: Path) -> np.random.Generator:
        """Return the generator of the draw at ``path``."""
        return draws.generator(self.seed, "founder", self.index, *path)

    def config(self) -> dict[str, Any]:
        """Return the whole configuration, in dicts of its own."""
        for path in self.functions:
            self.compute(path, ())
        return self.built(self.tree, ())

    def built(self, tree: dict[str, Any], above: Path) -> dict[str, Any]:
        """Return ``tree``, which stands at ``above``, with its values in place of what they come from."""
        return {
            key: self.built(leaf, (*above, key)) if isinstance(leaf, dict) else self.values[(*above, key)]
            for key, leaf in tree.items()
        }

    def compute(self, path: Path, waiting: tuple[Path, ...]) -> None:
        """Call the function at ``path``, from the start again after each value that turns out to be needed first.

        Starting again (rather than computing the other value from inside the running function) keeps a function's
        draws from the global generators apart from any other's, so that the order of keys changes nothing.
        """
        if path in waiting:
            chain = " -> ".join(map(shown, (*waiting[waiting.index(path) :], path)))
            raise SpaceError(f"param_space: sample_from functions wait for each other, {chain}; make one a domain")
        function, failed = self.functions[path], f"param_space {shown(path)}: its sample_from function"
        while path not in self.values:
            rng = self.generator(path)
            try:
                spec = (_Spec(self, path, (), self.tree),) if function.takes_spec else ()
                value = _settled(self.call(function.func, rng, spec))
            except _NeededFirst as needed:
                self.compute(needed.path, (*waiting, path))
                continue
            except _NoSuchKeyError as error:
                raise SpaceError(f"{failed} {error.args[0]}") from error
            except Exception as error:
                raise SpaceError(f"{failed} raised {type(error).__name__}: {error}") from error
            if isinstance(value, Domain):  # its bounds may depend on other values
                value = value.sample(rng)
            elif holds_domain(value):
                raise SpaceError(f"{failed} returned {value!r}, with a domain inside; return a value, or one domain")
            self.values[path] = value


class _View(Mapping[str, Any]):
    """What the sample_from at ``reader`` sees of a dict: read by key or by attribute; dicts in it are views too."""

    __slots__ = ("_above", "_founder", "_reader", "_tree")

    def __init__(self, founder: Founder, reader: Path, above: Path, tree: dict[str, Any]) -> None:
        self._founder, self._reader, self._above, self._tree = founder, reader, above, tree

    def __getitem__(self, key: str) -> Any:
        path = (*self._above, key)
        if key not in self._tree:
            raise _NoSuchKeyError(f"reads {shown(path)}, which is not there; the keys are {keys(self._founder.tree)}")
        if isinstance(self._tree[key], dict):
            return _View(self._founder, self._reader, path, self._tree[key])
        if path not in self._founder.values:
            raise _NeededFirst(path)
        return self._founder.values[path]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions are not about keys
            raise AttributeError(name)
        return self[name]

    def __contains__(self, key: object) -> bool:
        return key in self._tree  # asking whether a key is there needs no value

    def __iter__(self) -> Iterator[str]:
        # Without the reader's own key, which has no value yet: dict(spec.config) must not wait for itself.
        return (key for key in self._tree if (*self._above, key) != self._reader)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Spec(_View):
    """The whole: ``spec.config``, and ``spec["config"]`` if no key has that name, are views of it as well."""

    __slots__ = ()

    @property
    def config(self) -> _View:
        return _View(self._founder, self._reader, (), self._tree)

    def __getitem__(self, key: str) -> Any:
        return self.config if key == "config" and key not in self._tree else super().__getitem__(key)


def _settled(value: Any) -> Any:
    """Return what a function returned, with views made dicts and numpy scalars made Python's."""
    if isinstance(value, _View) or type(value) is dict:
        return {key: _settled(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_settled, value))
    return plain(value)
