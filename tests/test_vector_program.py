"""A block of rows in JAX: whatever one row comes to depends on its segment, its iteration and its hyperparameters."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from vectors import compile_once, happened, pbt, tuner  # noqa: E402

import ramet  # noqa: E402
from ramet.executor.vector.jax import JaxProgram  # noqa: E402
from ramet.executor.vector.rows import rows_of  # noqa: E402
from ramet.executor.vector.values import Values  # noqa: E402
from ramet.store import stacks  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _compiled():
    compile_once()


def init(key, hparams):
    """A state with a leaf of every kind that there is, the hyperparameters of which are nested."""
    return {
        "w": jax.random.normal(key, (2, 2)) * hparams["shape"]["spread"],
        "half": jnp.full((3,), 0.5, jnp.bfloat16),
        "pair": (jnp.int32(0), jnp.bool_(True)),
        "key": key,
        "empty": jnp.zeros((0, 2)),
    }


def step(state, hparams, key):
    """Walk, count, draw from a key of its own, and report what is nested."""
    count, flag = state["pair"]
    own = jax.random.fold_in(state["key"], count)
    w = state["w"] * (1 - hparams["lr"]) + jax.random.uniform(key, (2, 2))
    w = jnp.where(hparams["shape"]["flip"], -w, w)
    state = {
        "w": w,
        "half": state["half"] * jnp.bfloat16(1.5),
        "pair": (count + hparams["shape"]["stride"], ~flag),
        "key": own,
        "empty": state["empty"],
    }
    return state, {"score": w.sum(), "of": {"count": count, "flag": flag}, "key": jax.random.key_data(own)[1] % 1000}


def evaluate(state, hparams, key):
    """Look at a sample."""
    return {"looked": state["w"].mean() + jax.random.uniform(key)}


SOME = ramet.VectorTrainable(init, step, evaluate, steps_per_report=2)


def config(number):
    """Return the configuration of the founder ``number``."""
    nested = {"spread": 1.0 + number, "stride": number + 1, "flip": number % 2 == 0, "name": "all have this"}
    return {"lr": 0.01 * (number + 1), "shape": nested, "layers": [3, 2]}


CONFIGS = [config(number) for number in range(8)]
VALUES = Values(CONFIGS, ["lr"])


def program(rows, trainable=SOME, values=VALUES, **more):
    """Return a program of so many rows."""
    return JaxProgram(trainable, values, rows, 7, **more)


def trained(rows, members, reports=3, block=None):
    """Return leaves and metrics of ``members`` (numbers of segments) that lie in a block of so many rows."""
    one = program(rows)
    filled = [*members, *[members[-1]] * (one.rows - len(members))]
    segments, arrays = np.array(filled), VALUES.arrays([CONFIGS[number] for number in filled])
    state = one.begin(segments, arrays)
    state, pending = one.train(state, reports, segments, np.zeros(one.rows, np.int64), arrays)
    metrics = {name: values[:, : len(members)] for name, values in one.metrics(pending).items()}
    return one.take(state, range(len(members))), metrics


@pytest.fixture(scope="module")
def eight():
    """Eight members in one block: their leaves and metrics."""
    return trained(8, range(8))


@pytest.mark.parametrize(("rows", "members"), [(1, [0]), (1, [5]), (3, [2, 0, 7]), (3, [6]), (8, [*range(7, -1, -1)])])
def test_a_row_knows_nothing_of_the_others(eight, rows, members):
    """A member comes to the same bits in a block of any size, at any place in it, and beside whomever."""
    leaves, metrics = trained(rows, members)
    for mine, theirs in zip(leaves, eight[0], strict=True):
        assert mine.tobytes() == theirs[members].tobytes()
    for name, values in metrics.items():
        assert values.tobytes() == np.ascontiguousarray(eight[1][name][:, members]).tobytes(), name


def test_a_lease_may_be_cut_into_any_parts(eight):
    """Three reports at once are one and then two: draws go by the number of the step, not by the dispatch."""
    one, segments, arrays = program(8), np.arange(8), VALUES.arrays(CONFIGS)
    state, told = one.begin(segments, arrays), []
    for at, reports in ((0, 1), (1, 2)):
        state, pending = one.train(state, reports, segments, np.full(8, at), arrays)
        told.append(one.metrics(pending))
    for name, values in eight[1].items():
        assert np.concatenate([part[name] for part in told]).tobytes() == values.tobytes()
    for mine, theirs in zip(one.take(state, range(8)), eight[0], strict=True):
        assert mine.tobytes() == theirs.tobytes()


def test_a_report_is_the_mean_of_its_steps(eight):
    """Metrics are means over the steps of a report, those of evaluate are of its end, and names are paths."""
    single = ramet.VectorTrainable(init, step)
    one, segments, arrays = program(8, single), np.arange(8), VALUES.arrays(CONFIGS)
    state = one.begin(segments, arrays)
    state, pending = one.train(state, 6, segments, np.zeros(8, np.int64), arrays)
    each = one.metrics(pending)
    assert sorted(each) == ["key", "of/count", "of/flag", "score"]
    for name, values in each.items():
        means = values.astype(np.float32).reshape(3, 2, 8).mean(1)
        np.testing.assert_allclose(eight[1][name], means, rtol=1e-6)
    assert eight[1]["looked"].shape == (3, 8)
    assert one.names() == ["empty", "half", "key", "pair/0", "pair/1", "w"]


def test_functions_with_the_axis_themselves_are_the_mapped_ones(eight):
    """With batched=True functions that map by themselves come to what mapped ones do."""

    def mapped(function):
        return lambda *arguments: jax.vmap(lambda *row: function(*_with_names(row)))(*_arrays(arguments))

    def _arrays(arguments):
        return [{"lr": a["lr"], **{k: a["shape"][k] for k in ("spread", "stride", "flip")}} if isinstance(a, dict)
                and "lr" in a else a for a in arguments]  # fmt: skip

    def _with_names(row):
        return [{"lr": a["lr"], "shape": {k: a[k] for k in ("spread", "stride", "flip")}} if isinstance(a, dict)
                and "lr" in a else a for a in row]  # fmt: skip

    whole = ramet.VectorTrainable(mapped(init), mapped(step), mapped(evaluate), steps_per_report=2, batched=True)
    one, segments, arrays = program(8, whole), np.arange(8), VALUES.arrays(CONFIGS)
    state, pending = one.train(one.begin(segments, arrays), 3, segments, np.zeros(8, np.int64), arrays)
    for name, values in one.metrics(pending).items():
        np.testing.assert_allclose(values, eight[1][name], rtol=1e-6)
    for mine, theirs in zip(one.take(state, range(8)), eight[0], strict=True):
        np.testing.assert_allclose(mine.astype(np.float64), theirs.astype(np.float64), rtol=1e-5, atol=1e-6)


def test_hyperparameters_have_the_type_that_they_had(eight):
    """Truths stay truths, whole numbers whole, and what all have in common is given as it stands."""
    seen = {}

    def look(key, hparams):
        seen.update(hparams["shape"], lr=hparams["lr"], layers=hparams["layers"])
        return 0.0

    program(4, ramet.VectorTrainable(look, lambda state, hparams, key: (state, {"score": state})))
    assert {name: seen[name].dtype.name for name in ("spread", "stride", "flip", "lr")} == {
        "spread": "float32", "stride": "int32", "flip": "bool", "lr": "float32",
    }  # fmt: skip
    assert (seen["name"], seen["layers"]) == ("all have this", [3, 2])


# ---------------------------------------------------------------------- rows


@pytest.fixture(scope="module")
def shared():
    """One program of eight rows, and what its rows begin as."""
    one = program(8)
    begun = lambda: one.begin(np.arange(8), VALUES.arrays(CONFIGS))  # noqa: E731
    return one, begun, one.take(begun(), range(8))


moves = st.lists(st.integers(0, 7), unique=True, min_size=1, max_size=8).flatmap(
    lambda to: st.tuples(st.just(to), st.lists(st.integers(0, 7), min_size=len(to), max_size=len(to)))
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_a_move_is_simultaneous(shared, move):
    """What is copied is what was there before, cycles and chains included; no other row changes by a bit."""
    one, begun, before = shared
    to, of = move
    after = one.take(one.move(begun(), to, of), range(8))
    source = np.arange(8)
    source[to] = of
    for old, new in zip(before, after, strict=True):
        assert new.tobytes() == old[source].tobytes()


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(8)), st.integers(1, 8), st.randoms(use_true_random=False))
def test_what_is_put_is_taken(shared, order, count, random):
    """Rows that are taken and put back elsewhere are there, in any order and number, and all others as they were."""
    one, begun, before = shared
    rows, of = list(order[:count]), [random.randrange(8) for _ in range(count)]
    after = one.take(one.put(begun(), rows, one.take(begun(), of)), range(8))
    source = np.arange(8)
    source[rows] = of
    for old, new in zip(before, after, strict=True):
        assert new.tobytes() == old[source].tobytes()


def test_every_kind_of_leaf_survives_the_disk(shared, eight, tmp_path):
    """Halves, keys, truths and empty arrays come back from a stack as they were, and train on to the same."""
    one, _, _ = shared
    leaves, _ = eight
    stacks.written(tmp_path, one.names(), leaves)
    found = stacks.rows(tmp_path, range(8))
    back = [found[name] for name in one.names()]
    assert [leaf.dtype for leaf in back] == [leaf.dtype for leaf in leaves]
    segments, arrays, told = np.arange(8), VALUES.arrays(CONFIGS), []
    for given_leaves in (leaves, back):
        state = one.put(one.begin(segments, arrays), range(8), given_leaves)
        told.append(one.metrics(one.train(state, 2, segments, np.full(8, 3), arrays)[1]))
    assert all(told[0][name].tobytes() == told[1][name].tobytes() for name in told[0])
    tree = one.tree([leaf[3:4] for leaf in leaves])
    assert jax.random.key_data(tree["key"]).tolist() == leaves[2][3].tolist()
    assert (tree["half"].dtype, tree["pair"][1].dtype) == (jnp.bfloat16, jnp.bool_)


def test_what_is_taken_is_a_copy(shared):
    """Rows that were taken stay what they were while the block is trained on."""
    one, begun, _ = shared
    segments, arrays = np.arange(8), VALUES.arrays(CONFIGS)
    block = begun()
    for rows in (range(8), [1, 2]):
        taken = one.take(block, rows)
        copies = [leaf.copy() for leaf in taken]
        block, pending = one.train(block, 1, segments, np.zeros(8, np.int64), arrays)
        one.metrics(pending)
        assert all(leaf.tobytes() == copy.tobytes() for leaf, copy in zip(taken, copies, strict=True))


def test_what_is_not_a_number_stays_in_its_row(shared, eight):
    """A row of NaN leaves all others as they are, bit for bit."""
    one, begun, before = shared
    poisoned = [leaf[[3]].copy() for leaf in before]
    poisoned[-1][:] = np.nan
    segments, arrays = np.arange(8), VALUES.arrays(CONFIGS)
    _, pending = one.train(one.put(begun(), [3], poisoned), 3, segments, np.zeros(8, np.int64), arrays)
    metrics = one.metrics(pending)
    others = [0, 1, 2, 4, 5, 6, 7]
    assert np.isnan(metrics["score"][:, 3]).all()
    for name, values in metrics.items():
        assert values[:, others].tobytes() == eight[1][name][:, others].tobytes()


ops = st.lists(
    st.one_of(
        st.tuples(st.just("copy"), moves.map(lambda move: ([r % 5 for r in move[0]], [r % 5 for r in move[1]]))),
        st.tuples(st.just("train"), st.sets(st.integers(0, 4), min_size=1)),
        st.tuples(st.just("begin"), st.sets(st.integers(0, 4), min_size=1)),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def pairwise():
    """A program of two rows."""
    return program(2)


@settings(max_examples=25, deadline=None)
@given(ops)
def test_rows_in_turn_are_rows_at_once(shared, pairwise, doings):
    """Whatever is done to five rows, two at a time they hold the same bits, and only what was meant has changed."""
    kinds = {8: rows_of(shared[0], 5), 2: rows_of(pairwise, 5)}
    segments, arrays = np.arange(5), VALUES.arrays(CONFIGS[:5])
    for rows in kinds.values():
        rows.begin(range(5), segments, arrays)
    for what, at in doings:
        told = []
        for rows in kinds.values():
            before = rows.read(range(5))
            if what == "copy":
                pairs = dict(zip(*at, strict=True))
                rows.copy(list(pairs), list(pairs.values()))
                changed = set(pairs)
            elif what == "train":
                rows.train(sorted(at), 1, segments, np.zeros(5, np.int64), arrays)
                told.append({name: values[:, sorted(at)].tobytes() for name, values in rows.metrics().items()})
                changed = at
            else:
                rows.begin(sorted(at), segments + 10, arrays)
                changed = at
            same = [row for row in range(5) if row not in changed]
            after = rows.read(range(5))
            assert all(old[same].tobytes() == new[same].tobytes() for old, new in zip(before, after, strict=True))
        assert told[1:] == told[:-1]
    one, other = (rows.read(range(5)) for rows in kinds.values())
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------------- what is compiled


class Compilations(logging.Handler):
    """Notes which functions JAX compiles."""

    def __init__(self):
        super().__init__()
        self.names = []

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Compiling "):
            self.names.append(text.split()[1])


@pytest.mark.parametrize(("stop", "lengths"), [(30, 1), (31, 2)])
def test_training_is_compiled_once_for_each_length_of_lease(tmp_path, stop, lengths):
    """However many members become clones, what trains is compiled once for leases of 3 reports, once for one of 1."""
    counted = Compilations()
    logger = logging.getLogger("jax._src.interpreters.pxla")
    propagates = logger.propagate
    logger.addHandler(counted)
    logger.propagate = False
    try:
        with jax.log_compiles():
            results = tuner(tmp_path / "run", scheduler=pbt(3, quantile_fraction=0.5), stop=stop).fit()
    finally:
        logger.removeHandler(counted)
        logger.propagate = propagates
    assert len(happened(results.experiment_path, "Opened")) > 20
    assert len([name for name in counted.names if "train" in name]) == lengths
