"""Stacks of states: what is written is read again, bit for bit, and nothing that a header says is believed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import ramet
from ramet.errors import DamageError
from ramet.store import stacks
from ramet.store.checkpoints import CheckpointStore

KINDS = ["?", "i1", "<i2", ">i4", "<u4", "u8", "<f2", "<f4", ">f8", "<c8", "c16"]


@st.composite
def leaves(draw):
    """Some arrays of as many rows each, of any kind of number and shape."""
    rows = draw(st.integers(1, 5))
    shapes = draw(st.lists(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), min_size=1, max_size=4))
    return [draw(arrays.arrays(np.dtype(draw(st.sampled_from(KINDS))), (rows, *shape))) for shape in shapes]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Give a new folder each time."""
    return lambda: tmp_path_factory.mktemp("stack")


@settings(max_examples=100, deadline=None)
@given(leaves(), st.data())
def test_what_is_written_is_read(folders, given_leaves, data):
    """Any rows of any arrays come back in the order asked for, with their type, shape and every bit, NaN included."""
    folder, names = folders(), [f"leaf {at}" for at in range(len(given_leaves))]
    size = stacks.written(folder, names, given_leaves)
    assert size == sum(leaf[0].nbytes for leaf in given_leaves)
    which = data.draw(st.lists(st.integers(0, len(given_leaves[0]) - 1), max_size=6))
    found = stacks.rows(folder, which)
    assert list(found) == names
    for leaf, name in zip(given_leaves, names, strict=True):
        native = leaf.astype(leaf.dtype.newbyteorder("="))[which]
        assert found[name].dtype == native.dtype
        assert found[name].shape == native.shape
        assert found[name].tobytes() == native.tobytes()
    one = stacks.row(folder, 0)
    assert [np.shape(value) for value in one.values()] == [leaf.shape[1:] for leaf in given_leaves]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_types_that_numpy_does_not_know_keep_their_bits(tmp_path, name):
    """Types of ml_dtypes come back as what they were."""
    dtype = np.dtype(getattr(pytest.importorskip("ml_dtypes"), name))
    leaf = np.arange(-4, 8).reshape(3, 4).astype(np.float32).astype(dtype)
    stacks.written(tmp_path, ["w"], [leaf])
    found = stacks.rows(tmp_path, [2, 0])["w"]
    assert found.dtype == dtype
    assert found.tobytes() == leaf[[2, 0]].tobytes()
    stored = ramet.Checkpoint.from_dict({"w": leaf}).pack(CheckpointStore(tmp_path), "dict")
    assert ramet.Checkpoint(stored=stored).to_dict()["w"].tobytes() == leaf.tobytes()


@pytest.mark.parametrize("order", ["F", "every other", "reversed", "broadcast"])
def test_arrays_that_are_no_block_of_memory_are_written_by_value(tmp_path, order):
    """Views that are transposed, strided, reversed or broadcast are written as what they show."""
    base = np.arange(24.0).reshape(4, 6)
    views = {"F": np.asfortranarray(base), "every other": base[::2, 1::2], "reversed": base[::-1]}
    leaf = views.get(order, np.broadcast_to(np.arange(3.0), (4, 3)))
    stacks.written(tmp_path, ["w"], [leaf])
    np.testing.assert_array_equal(stacks.rows(tmp_path, range(len(leaf)))["w"], leaf)


def test_what_is_read_is_a_copy(tmp_path):
    """Whoever changes the rows that it was given changes nothing on disk."""
    stacks.written(tmp_path, ["w"], [np.arange(6.0).reshape(2, 3)])
    for which in ([0], [0, 1]):
        stacks.rows(tmp_path, which)["w"][:] = 9
    np.testing.assert_array_equal(stacks.row(tmp_path, 0)["w"], [0, 1, 2])


def entry(**changes):
    """Return a header of one array of two rows, in which something is another thing."""
    told = {"name": "w", "dtype": "float64", "shape": [2, 3], "at": 0, **changes}
    return json.dumps({"version": 1, "arrays": [{key: value for key, value in told.items() if value is not Ellipsis}]})


HOSTILE = {
    "no JSON": "{",
    "binary": "\x00\x01",
    "a list": "[]",
    "a number": "7",
    "null": "null",
    "deep": "[" * 5000,
    "no arrays": '{"version": 1}',
    "arrays that are none": '{"version": 1, "arrays": 5}',
    "arrays of text": '{"version": 1, "arrays": ["w"]}',
    "a negative offset": entry(at=-8),
    "an offset beyond the end": entry(at=1),
    "an offset that is no number": entry(at="0"),
    "an offset that is true": entry(at=True),
    "an offset of a fraction": entry(at=0.5),
    "an enormous offset": entry(at=10**30),
    "objects": entry(dtype="O"),
    "objects by name": entry(dtype="object"),
    "text": entry(dtype="U3"),
    "bytes": entry(dtype="S8"),
    "times": entry(dtype="M8[s]"),
    "a record": entry(dtype="f8,O"),
    "a list as type": entry(dtype=[["a", "O"]]),
    "a dict as type": entry(dtype={"names": ["a"], "formats": ["O"]}),
    "no type": entry(dtype=...),
    "null as type": entry(dtype=None),
    "an unknown type": entry(dtype="float1024"),
    "a module's name as type": entry(dtype="__name__"),
    "a function as type": entry(dtype="finfo"),
    "an enormous shape": entry(shape=[2**40, 2**40]),
    "a shape beyond the end": entry(shape=[2, 4]),
    "a negative shape": entry(shape=[2, -3]),
    "negative twice": entry(shape=[-2, -3]),
    "a shape of text": entry(shape="23"),
    "a shape of fractions": entry(shape=[2.0, 3]),
    "a shape of truths": entry(shape=[True, True]),
    "no shape": entry(shape=...),
    "a number as shape": entry(shape=6),
    "no axis": entry(shape=[]),
    "fewer rows": entry(shape=[1, 6]),
    "no rows": entry(shape=[0, 3]),
    "enormous and empty": entry(shape=[2, 0, 2**62, 2**62]),
    "many axes": entry(shape=[2] + [1] * 80),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_lies_is_damage(tmp_path, name):
    """Whatever a header says of what is not there is a DamageError; nothing is unpickled, and nothing crashes."""
    stacks.written(tmp_path, ["w"], [np.arange(6.0).reshape(2, 3)])
    (tmp_path / stacks.HEADER).write_text(HOSTILE[name], encoding="utf-8")
    with pytest.raises(DamageError, match="holds no stack of states"):
        stacks.rows(tmp_path, [1])


@pytest.mark.parametrize("missing", [stacks.HEADER, stacks.DATA])
def test_a_file_that_is_gone_is_damage(tmp_path, missing):
    """Without its header or its data a folder holds no stack."""
    stacks.written(tmp_path, ["w"], [np.arange(6.0).reshape(2, 3)])
    (tmp_path / missing).unlink()
    with pytest.raises(DamageError):
        stacks.rows(tmp_path, [0])


@pytest.mark.parametrize("which", [[2], [0, 9], [-3]])
def test_rows_that_are_not_there_are_damage(tmp_path, which):
    """A row beyond the last one is named in the error."""
    stacks.written(tmp_path, ["w"], [np.arange(6.0).reshape(2, 3)])
    with pytest.raises(DamageError, match="with the rows"):
        stacks.rows(tmp_path, which)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["name", "dtype", "shape", "at"]), NESTED))
def test_no_header_at_all_does_harm(folders, changes):
    """A header of arbitrary values is read as far as it fits the file, or is damage."""
    folder = folders()
    stacks.written(folder, ["w"], [np.arange(6.0).reshape(2, 3)])
    (folder / stacks.HEADER).write_text(entry(**changes), encoding="utf-8")
    try:
        found = stacks.rows(folder, [0])
    except DamageError:
        return
    assert sum(leaf.nbytes for leaf in found.values()) <= 48


@pytest.mark.parametrize(
    ("kind", "number"),
    [("row 0", 0), ("row 17", 17), ("row", None), ("row ", None), ("row -1", None), ("row 1.5", None), ("row ²", None),
     ("row 1 ", None), ("pickle", None), (None, None), (7, None)],
)  # fmt: skip
def test_which_row_a_checkpoint_is(kind, number):
    """The kind of a checkpoint tells its row, and any other kind is none."""
    assert stacks.number(kind) == number
