"""Tables of pandas, whatever their values are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def framed(table: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a frame of columns by name, or of rows.

    An integer that no float can hold stays what it is, in a column of objects: pandas before 3.1 tries a float, and
    raises ``OverflowError``.

    >>> framed([{"loss": 1.0}, {"loss": 10**400}])["loss"].dtype
    dtype('O')
    """
    import pandas as pd

    try:
        return pd.DataFrame(table, copy=False)
    except OverflowError:
        columns = table if isinstance(table, Mapping) else _columns(table)
        return pd.DataFrame({name: _column(values) for name, values in columns.items()})


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, float("nan")) for row in rows] for name in names}


def _column(values: Any) -> Any:
    import pandas as pd

    try:
        return pd.Series(values)
    except OverflowError:
        return pd.Series(values, dtype=object)
