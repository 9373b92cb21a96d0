"""A run's tables as files that other programs read: CSV, Parquet, JSON.

Nothing is lost on the way. Numbers are written so that they read back the same; a column whose values are not all
numbers, or not all texts, holds each value as JSON; and ``export.json`` beside the tables says which columns those are.
"""

from __future__ import annotations

import csv
import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ramet.analysis.plain import as_json, as_lines, plain
from ramet.errors import ConfigError, RunError
from ramet.framing import framed
from ramet.space import flatten

if TYPE_CHECKING:
    import pandas as pd

    from ramet.analysis.run import Run

FORMATS = ("csv", "parquet", "json")
ABOUT = "export.json"
AT_ONCE = 20_000
"""Rows that are turned into text at a time."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Texts that readers of CSV take for nothing."""


def lineage(run: Run) -> pd.DataFrame:
    """Return how every member's model came to be: a row for each segment that made it, the founder first.

    Columns: ``model`` (whose), ``step`` (from 0), ``segment``, ``member`` (who trained it), ``first`` and ``last``
    iteration that went into the model (none where first > last), and ``config/…``.
    """
    import pandas as pd

    from ramet.analysis import frames

    found, rows = run.trace.segments, list[tuple[int, ...]]()
    parents, members, starts = found.parent.tolist(), found.member.tolist(), found.start.tolist()
    for place in run.trace.places:
        chain, here = list[tuple[int, int]](), place.segment
        end = int(run.trace.ends[here]) if here >= 0 else 0
        while here >= 0:
            chain.append((here, end))
            here, end = parents[here], starts[here]
        for step, (segment, last) in enumerate(reversed(chain)):
            rows.append((place.number, step, segment, members[segment], starts[segment] + 1, last))
    columns = ["model", "step", "segment", "member", "first", "last"]
    frame = pd.DataFrame(rows, columns=columns).astype("int64")
    return framed(dict(frame.items()) | frames.hparams(run.trace, frame["segment"].tolist()))


def schedule(run: Run) -> pd.DataFrame:
    """Return the schedule of the best member: a row for each step. Nobody's, if nobody is best yet.

    Columns: ``first`` and ``last`` iteration, ``member`` and ``segment`` that trained them, ``config/…``.
    """
    import pandas as pd

    from ramet.analysis import frames

    try:
        steps = list(run.schedule())
    except ConfigError:  # nobody has a finite value yet, or nobody is judged
        steps = []
    rows = [(step.first, step.last, step.member, step.segment) for step in steps]
    frame = pd.DataFrame(rows, columns=["first", "last", "member", "segment"]).astype("int64")
    flat = [flatten(step.hparams) for step in steps]
    for name in dict.fromkeys(name for each in flat for name in each):
        frame[f"{frames.CONFIG}{name}"] = frames.column([each.get(name) for each in flat])
    return frame


def replacements(run: Run) -> pd.DataFrame:
    """Return who replaced whom: ``member``, and for each ``donor/N`` how often it took over that one's weights."""
    return run.replacements().rename(columns=lambda donor: f"donor/{donor}").reset_index()


TABLES: dict[str, Callable[[Run], pd.DataFrame]] = {
    "members": lambda run: run.members(),
    "segments": lambda run: run.segments(),
    "reports": lambda run: run.reports(),
    "decisions": lambda run: run.decisions(),
    "checkpoints": lambda run: run.checkpoints(),
    "founders": lambda run: run.founders(),
    "replacements": replacements,
    "lineage": lineage,
    "schedule": schedule,
}
"""By name, what a run can be exported as."""


def export(
    run: Run,
    folder: str | os.PathLike[str],
    format: str = "csv",
    tables: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write tables of ``run``. See `ramet.analysis.run.Run.export`."""
    asked = f"export(format={format!r})"
    if format not in FORMATS:
        raise ConfigError(f"{asked} is none of {', '.join(FORMATS)}")
    if isinstance(tables, str):
        raise ConfigError(f"export(tables={tables!r}) must be a list of names: [{tables!r}]")
    names = list(dict.fromkeys(TABLES if tables is None else tables))
    if unknown := [name for name in names if name not in TABLES]:
        raise ConfigError(f"export(tables=…): there is no table {unknown[0]!r}; there are {', '.join(TABLES)}")
    if format == "parquet":
        _check_parquet(asked)
    where = Path(folder).expanduser()
    files = {name: where / f"{name}.{format}" for name in names}
    try:
        where.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in (*files.values(), where / ABOUT) if os.path.lexists(path))
        if there and not overwrite:
            raise ConfigError(
                f"export({str(folder)!r}) would overwrite {', '.join(there)} in it: give another folder, or "
                "overwrite=True"
            )
        told: dict[str, Any] = {}
        for name, path in files.items():
            frame, kinds = written(TABLES[name](run), format)
            _WRITERS[format](frame, path)
            told[name] = {"file": path.name, "rows": len(frame), "columns": kinds}
        about = {
            "run": run.name,
            "path": str(run.path.resolve()),
            "state": run.state,
            "entries": run.trace.last,
            "seed": run.seed,
            "facts": run.facts,
            "format": format,
            "tables": told,
        }
        with _replacing(where / ABOUT, "w") as file:
            file.write(as_json(about, indent=1) + "\n")
    except OSError as error:
        raise RunError(
            f"cannot export to {where} ({error.strerror or error}): make room there, or choose another folder"
        ) from error
    return [*files.values(), where / ABOUT]


def written(frame: pd.DataFrame, format: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return ``frame`` as ``format`` can hold it, and what each column is: ``int``, ``float``, ``bool``, ``text``, or
    ``json``, whose values are JSON's texts.
    """
    import pandas as pd

    series: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    for name in frame.columns:
        told, (values, kind) = _named(str(name), format), _column(frame[name], format)
        while told in series:
            told += "~"
        series[told], kinds[told] = values, kind
    return pd.DataFrame(series, index=frame.index), kinds


def _named(name: str, format: str) -> str:
    """Return the name of a column as the format can hold it: not every text is UTF-8, and a CSV's head is one line."""
    odd = {"csv": _CONTROL, "parquet": _SURROGATE}.get(format)
    return name if odd is None else odd.sub(lambda found: ascii(found[0])[1:-1], name)


def _column(values: pd.Series[Any], format: str) -> tuple[Any, str]:
    kinds = {"b": "bool", "i": "int", "u": "int", "f": "float"}
    kind = kinds.get(getattr(values.dtype, "kind", "O"))
    if kind is not None:
        return values, kind
    found = [None if _is_missing(value) else value for value in values.tolist()]
    if all(value is None for value in found) or _are_texts(found, format):
        return _objects(found, values.index), "text"
    if format == "json":  # which has words for them itself
        return _objects(values.tolist(), values.index), "json"
    return _objects([None if value is None else as_json(value) for value in found], values.index), "json"


def _objects(values: list[Any], index: Any) -> Any:
    import numpy as np
    import pandas as pd

    column = np.empty(len(values), object)
    column[:] = values
    return pd.Series(column, index, dtype=object)


def _are_texts(values: list[Any], format: str) -> bool:
    """Return whether all are texts that the format brings back as they were."""
    for value in values:
        if value is None:
            continue
        if type(value) is not str or (format != "json" and _SURROGATE.search(value)):
            return False
        if format == "csv" and (value in _MISSING or _CONTROL.search(value) or value != value.strip()):
            return False
    # A column of digits would be read as numbers.
    return format != "csv" or not any(value is not None and _is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True


def _is_missing(value: Any) -> bool:
    return value is None or plain(value) is None


# --------------------------------------------------------------------------------------------------------- the writers


def _csv(frame: pd.DataFrame, path: Path) -> None:
    with _replacing(path, "w") as file:
        frame.to_csv(file, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL, chunksize=AT_ONCE)


def _json(frame: pd.DataFrame, path: Path) -> None:
    with _replacing(path, "w") as file:
        file.writelines(as_lines(list(frame.columns), _rows(frame)))


def _rows(frame: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    for at in range(0, len(frame), AT_ONCE):
        part = frame.iloc[at : at + AT_ONCE]
        yield from zip(*(part[name].tolist() for name in part.columns), strict=True)


def _parquet(frame: pd.DataFrame, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    # Of a column of texts without any the type cannot be guessed.
    fields = {name: pyarrow.string() for name in frame.columns if frame[name].dtype == object}
    table = pyarrow.table(
        {name: pyarrow.array(frame[name], type=fields.get(name), from_pandas=True) for name in frame.columns}
    )
    with _replacing(path, "wb") as file:
        pyarrow.parquet.write_table(table, file)


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {"csv": _csv, "parquet": _parquet, "json": _json}


def _check_parquet(asked: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{asked} needs pyarrow: pip install 'ramet[export]', or take csv or json") from error


@contextmanager
def _replacing(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Give a file to write for a ``with`` block, which is put in the place of ``path`` if the block ends well."""
    beside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:16]}")
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    try:
        with beside.open(mode.replace("w", "x"), **text) as file:
            yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
