"""Rows as bytes: whatever was reported comes back, value by value and type by type."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramet.core.blocks import as_dicts, decoded, decoded_seconds, encoded, encoded_seconds, kinds_of, last_row
from ramet.core.messages import StoredCheckpoint
from ramet.executor.batch import Batch

VALUES = (
    st.floats() | st.integers() | st.integers(-(2**70), 2**70) | st.booleans() | st.text(max_size=5) | st.none()
) | st.lists(st.floats() | st.integers(), max_size=2)
COLUMNS = st.lists(st.text(max_size=4), unique=True, max_size=5)


def kinds(rows, width):
    """Return the kinds of columns whose values are those of ``rows``, as a batch finds them."""
    found = [kinds_of([type(value) for value in row]) for row in rows]
    return (
        "".join(kind[0] if len(set(kind)) == 1 else "j" for kind in zip(*found, strict=True)) if rows else "j" * width
    )


@st.composite
def tables(draw):
    """Columns, and rows of any values in them."""
    columns = draw(COLUMNS)
    same = draw(st.booleans())
    each = [
        draw(st.sampled_from([st.floats(), st.integers(), st.booleans(), VALUES])) if same else VALUES for _ in columns
    ]
    return columns, draw(st.lists(st.tuples(*each), min_size=1, max_size=6))


@given(tables())
def test_law_rows_come_back_as_they_were(table):
    """Decoding gives the very values, NaN and signed zero included, the last row alone too, and no other type."""
    columns, rows = table
    data = encoded(columns, kinds(rows, len(columns)), [value for row in rows for value in row], len(rows))
    names, values = decoded(data)
    assert names == columns
    assert repr(values) == repr([list(row) for row in rows])
    assert [repr(row) for row in as_dicts(data)] == [repr(dict(zip(columns, row, strict=True))) for row in rows]
    assert repr(last_row(data, len(rows))) == repr(dict(zip(columns, rows[-1], strict=True)))


@given(tables(), st.data())
def test_law_a_block_that_was_cut_is_no_block(table, data):
    """No part of a block is taken for one of as many rows."""
    columns, rows = table
    whole = encoded(columns, kinds(rows, len(columns)), [value for row in rows for value in row], len(rows))
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(ValueError):
        decoded(part)
    with pytest.raises(ValueError):
        last_row(part, len(rows))


@given(st.binary(max_size=60) | st.builds(lambda head, body: head + b"\n" + body, st.binary(), st.binary(max_size=9)))
def test_law_any_bytes_are_a_block_or_a_value_error(data):
    """What is no block is told as such, by nothing but a ValueError."""
    for read in (decoded, lambda data: last_row(data, 1), decoded_seconds):
        with contextlib.suppress(ValueError):
            read(data)


@pytest.mark.parametrize(
    "head",
    [
        {"columns": ["a"], "kinds": "dd", "rows": 1},
        {"columns": ["a"], "kinds": "x", "rows": 1},
        {"columns": ["a", "a"], "kinds": "dd", "rows": 1},
        {"columns": [1], "kinds": "d", "rows": 1},
        {"columns": "a", "kinds": "d", "rows": 1},
        {"columns": ["a"], "kinds": 1, "rows": 1},
        {"columns": [], "kinds": "", "rows": 10**18},
        {"columns": ["a"], "kinds": "j", "rows": 10**18},
        ["columns"],
    ],
    ids=repr,
)
def test_a_head_that_contradicts_itself_is_refused(head):
    """Columns without kinds, twice, of no type, or of more rows than there are bytes: a ValueError, and at once."""
    data = json.dumps(head, separators=(",", ":")).encode() + b"\n" + bytes(16)
    with pytest.raises(ValueError):
        decoded(data)
    with pytest.raises(ValueError):
        last_row(data, 1)


@given(st.lists(st.floats()))
def test_law_seconds_come_back(seconds):
    """Times are the very floats."""
    assert repr(decoded_seconds(encoded_seconds(seconds))) == repr(seconds)


def test_rows_of_earlier_versions_are_read():
    """The JSON of formats 1 and 2 is decoded like a block of this one."""
    data = '{"columns":["loss","note"],"rows":[[0.5,"a"],[NaN,null]]}'
    columns, rows = decoded(data)
    assert (columns, rows[0]) == (["loss", "note"], [0.5, "a"])
    assert math.isnan(last_row(data, 2)["loss"])
    assert decoded_seconds("[0.5,1.0]") == [0.5, 1.0]
    for wrong in ('{"columns":["a"],"rows":[[1,2]]}', '{"columns":1,"rows":[]}', '{"columns":["a"],"rows":7}'):
        with pytest.raises(ValueError):
            decoded(wrong)


def test_a_batch_makes_one_block_of_equal_columns():
    """Other columns begin another block, other types do not; a checkpoint ends one, and rides on its last row."""
    batch = Batch(4)

    def add(**row):
        types = tuple(map(type, row.values()))
        if tuple(row) != batch.columns:
            batch.turn(tuple(row), types)
        else:
            batch.vary(types)
        batch.values.extend(row.values())
        batch.seconds.append(1.0)

    add(a=1)
    add(a=2.5)
    add(a=1, b=None)
    batch.seal(7, StoredCheckpoint("pickle", b"x"), 7.0)
    add(a=3, b=4)
    first, second, third = batch.taken(8)
    assert [(block.first, block.last, decoded(block.rows)) for block in (first, second, third)] == [
        (5, 6, (["a"], [[1], [2.5]])),
        (7, 7, (["a", "b"], [[1, None]])),
        (8, 8, (["a", "b"], [[3, 4]])),
    ]
    assert [block.stored is not None for block in (first, second, third)] == [False, True, False]
    assert second.metrics == {"a": 1, "b": None}
    assert batch.taken(8) == ()
