"""The constructors of domains, with Ray Tune's names and order of arguments, so that its users know them already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ramet.domains.base import Domain
from ramet.domains.checks import check_base, given_quantum
from ramet.domains.initial import GridSearch, SampleFrom
from ramet.domains.lists import Categorical, Ordered
from ramet.domains.numbers import Float, Integer, Normal
from ramet.errors import SpaceError


def uniform(lower: float, upper: float) -> Float:
    """Return the floats from ``lower`` to ``upper``; both belong to them, ``upper`` itself is never drawn.

    Perturbing multiplies the value: by 1.2 from 0.5 to 0.6.

    Raises:
        SpaceError: a bound is not a finite number, or ``upper`` is not above ``lower``: the caller's fault, as for all
            constructors here.

    >>> import numpy as np
    >>> uniform(0, 1).perturb(0.5, np.random.default_rng(0))
    0.4
    """
    return Float(lower, upper)


def quniform(lower: float, upper: float, q: float) -> Float:
    """Return the multiples of ``q`` from ``lower`` to ``upper``, both included, all drawn equally often.

    Args:
        lower: the lowest value, a multiple of ``q``.
        upper: the highest value, a multiple of ``q``.
        q: the distance between neighbours, above 0.

    >>> quniform(0, 0.9, 0.1).clip(0.32)
    0.3
    """
    return Float(lower, upper, given_quantum("quniform", q))


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """Return the floats from ``lower`` (above 0) to ``upper``, each order of magnitude drawn equally often.

    Perturbing multiplies the place between the bounds on the log axis, from 0 at ``lower`` to 1 at ``upper``. Differs
    from Ray Tune and from the PBT paper, which multiply the value itself, as ``uniform`` does: here the same number of
    perturbations crosses two decades or ten. The other log domains move in the same way.

    ``base`` (above 1) is taken for the sake of existing scripts and changes nothing: logarithms differ by a factor.

    >>> import numpy as np
    >>> domain = loguniform(1e-4, 1e-1)
    >>> domain.encode(domain.perturb(domain.decode(0.5), np.random.default_rng(0), factors=(1.2,)))
    0.6
    """
    check_base("loguniform", base)
    return Float(lower, upper, None, log=True)


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """Return the multiples of ``q`` from ``lower`` (above 0) to ``upper``, both included.

    Drawn and perturbed as by ``loguniform``, and rounded.

    >>> qloguniform(1e-3, 1e-1, 5e-4).clip(0.0123)
    0.0125
    """
    check_base("qloguniform", base)
    return Float(lower, upper, given_quantum("qloguniform", q), log=True)


def randn(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """Return all floats, drawn from the normal distribution with this ``mean`` and this ``sd`` (above 0).

    >>> randn(10, 2).encode(10)
    0.5
    """
    return Normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Normal:
    """Return the multiples of ``q`` (above 0), drawn as by ``randn`` and rounded.

    >>> qrandn(0, 1, 0.25).clip(0.3)
    0.25
    """
    return Normal(mean, sd, given_quantum("qrandn", q))


def randint(lower: int, upper: int) -> Integer:
    """Return the integers from ``lower`` to below ``upper``.

    >>> randint(0, 10).contains(9), randint(0, 10).contains(10)
    (True, False)
    """
    return Integer(lower, upper)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """Return the multiples of ``q`` from ``lower`` to ``upper`` included; with ``q=1`` the same as ``randint``.

    That ``upper`` is excluded for ``q=1`` only is odd, and kept because existing scripts rely on it.

    >>> import numpy as np
    >>> qrandint(32, 64, 32).perturb(64, np.random.default_rng(0))
    32
    """
    return Integer(lower, upper, q)


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """Return the integers from ``lower`` (above 0) to below ``upper``, drawn evenly in their logarithm.

    Perturbed as by ``loguniform``, and by one at least.

    >>> lograndint(1, 1001).decode(0.5)
    32
    """
    check_base("lograndint", base)
    return Integer(lower, upper, log=True)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """Return the multiples of ``q`` from ``lower`` (above 0) to ``upper``, drawn evenly in their logarithm.

    ``upper`` is included, except for ``q=1``, which is the same as ``lograndint``. Perturbed as by ``loguniform``, and
    by one step at least.

    >>> qlograndint(8, 1024, 8).clip(99)
    96
    """
    check_base("qlograndint", base)
    return Integer(lower, upper, q, log=True)


def choice(categories: Iterable[Any]) -> Categorical:
    """Return values without an order, all drawn equally often. For values with one give ``mutations`` a plain list.

    Raises:
        SpaceError: ``categories`` is empty, a string, a set (it has no order, so no seed can repeat a draw), or holds a
            domain: the caller's fault.

    >>> import numpy as np
    >>> choice(["adam", "sgd"]).perturb("adam", np.random.default_rng(0))
    'adam'
    """
    return Categorical(categories)  # type: ignore[arg-type]


def grid_search(values: Iterable[Any]) -> GridSearch:
    """Let each of ``values`` start members of its own, in every combination with other grids.

    Raises:
        SpaceError: as for ``choice``.

    >>> grid_search([0.0, 1.0])
    grid_search([0.0, 1.0])
    """
    return GridSearch(values)  # type: ignore[arg-type]


def sample_from(func: Callable[..., Any]) -> SampleFrom:
    """Let ``func(spec)`` give the initial value from the other initial values; ``func()`` may do without them.

    ``spec.config["x"]``, ``spec.config.x``, ``spec["x"]`` and ``spec.get("x")`` all read the value of key x.

    Raises:
        SpaceError: ``func`` cannot be called with one argument, nor with none: the caller's fault.

    >>> sample_from(lambda spec: 1 - spec.config["h0"]).takes_spec
    True
    """
    return SampleFrom(func)


_CONSTRUCTORS: dict[str, Callable[..., Domain]] = {
    made.__name__: made
    for made in (uniform, quniform, loguniform, qloguniform, randn, qrandn, randint, qrandint, lograndint, qlograndint)
} | {"choice": choice, "Ordered": Ordered}


def domain_from_plain(data: Mapping[str, Any]) -> Domain:
    """Return the domain that ``Domain.to_plain`` gave as ``data``.

    Raises:
        SpaceError: ``data`` is no such mapping, or stands for a function, which plain data cannot hold.

    >>> domain_from_plain(choice([1, "a"]).to_plain()) == choice([1, "a"])
    True
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("domain"), str):
        raise SpaceError(f"{data!r} is no plain form of a domain; give what Domain.to_plain() returned")
    arguments = dict(data)
    name = arguments.pop("domain")
    if name == "Sampled":
        raise SpaceError(f"plain data cannot hold the function {arguments.get('func')!r}; make its Space again")
    if name not in _CONSTRUCTORS:
        raise SpaceError(f"{name!r} is no domain; known are {', '.join(_CONSTRUCTORS)}")
    try:
        return _CONSTRUCTORS[name](**arguments)
    except TypeError as error:
        raise SpaceError(f"{data!r} is no plain form of a domain: {error}") from error
