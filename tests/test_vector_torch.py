"""The PyTorch side of a population: rows of one program, keyed random numbers, and optimisers that can be mapped."""

from __future__ import annotations

import re
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.errors import ConfigError, TrainableError
from ramet.executor.vector.values import Values

torch = pytest.importorskip("torch")

from ramet.executor.vector.philox import philox  # noqa: E402
from ramet.executor.vector.torch import TorchProgram  # noqa: E402
from ramet.integrations import torch_optim, torch_random  # noqa: E402

NETWORK = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
X = torch_random.normal(torch_random.key(1), (32, 4))
Y = X[:, :1] * X[:, 1:2]

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
"""Rows of blocks of other sizes are added up in another order; a float32 keeps seven digits."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Let torch calculate in one thread: several wait for each other where other tests run beside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def init(key, hparams):
    return {"net": torch_random.parameters(key, NETWORK), "steps": 0, "nothing": None}


def loss(net, x, y):
    return ((torch.func.functional_call(NETWORK, net, (x,)) - y) ** 2).mean()


def step(state, hparams, key):
    at = torch_random.randint(key, 8, 0, 32)
    gradients, value = torch.func.grad_and_value(loss)(state["net"], X[at], Y[at])
    net = {name: old - hparams["lr"] * gradients[name] for name, old in state["net"].items()}
    return {"steps": state["steps"] + 1, "net": net, "nothing": None}, {"loss": value, "of": {"step": state["steps"]}}


def evaluate(state, hparams, key):
    return {"score": -loss(state["net"], X, Y), "drawn": torch_random.uniform(key)}


def trainable(step=step, init=init, evaluate=None, **options):
    return ramet.VectorTrainable(init, step, evaluate, framework="torch", **options)


def arrays(configs):
    return Values(configs).arrays(configs)


class Population:
    """Members that are trained in blocks of a size, as an executor would, each under a configuration of its own."""

    def __init__(self, trainable, configs, rows, seed=0):
        self.program = TorchProgram(trainable, Values(configs), rows, seed)
        self.rows, self.hparams = rows, arrays(configs)
        self.count = len(configs)
        self.segments = np.arange(self.count) + 5

    def trained(self, *dispatches, order=None):
        """Return leaves and metrics of all members after dispatches of so many reports each."""
        order = list(range(self.count)) if order is None else order
        leaves, metrics = {}, {}
        for first in range(0, self.count, self.rows):
            at = np.array((order[first : first + self.rows] + order[:1] * self.rows)[: self.rows])
            segments, iterations = self.segments[at], np.zeros(self.rows, np.int64)
            hparams = {name: values[at] for name, values in self.hparams.items()}
            block = self.program.begin(segments, hparams)
            told = []
            for reports in dispatches:
                block, pending = self.program.train(block, reports, segments, iterations, hparams)
                told.append(self.program.metrics(pending))
                iterations = iterations + reports
            taken = self.program.take(block, range(self.rows))
            for row, member in enumerate(at):
                leaves[member] = [leaf[row] for leaf in taken]
                metrics[member] = {name: np.concatenate([t[name][:, row] for t in told]) for name in told[0]}
        return [leaves[member] for member in range(self.count)], [metrics[member] for member in range(self.count)]


EIGHT = [{"lr": 0.02 * (member + 1), "name": "same"} for member in range(8)]


def assert_same(one, other):
    for (leaves, metrics), (others, other_metrics) in zip(
        zip(*one, strict=True), zip(*other, strict=True), strict=True
    ):
        for leaf, another in zip(leaves, others, strict=True):
            np.testing.assert_allclose(leaf, another, **CLOSE)
        assert metrics.keys() == other_metrics.keys()
        for name in metrics:
            np.testing.assert_allclose(metrics[name], other_metrics[name], **CLOSE)


# ---------------------------------------------------------------------- blocks of rows


@pytest.mark.parametrize("rows", [1, 3])
def test_a_member_does_not_depend_on_its_block(rows):
    """In blocks of 1 and 3 rows members come to what they come to in one block of 8."""
    known = trainable(evaluate=evaluate, steps_per_report=3)

    assert_same(Population(known, EIGHT, rows).trained(4), Population(known, EIGHT, 8).trained(4))


def test_a_member_does_not_depend_on_its_row_nor_on_how_often_it_was_dispatched():
    """In another order of rows, and in dispatches of other lengths, all come to the same."""
    known = trainable(evaluate=evaluate, steps_per_report=2)
    eight = Population(known, EIGHT, 8)

    assert_same(eight.trained(2, 3), eight.trained(5, order=[3, 1, 0, 7, 6, 5, 4, 2]))


def test_segments_steps_and_seeds_draw_numbers_of_their_own():
    """No number is drawn twice: not by another member, nor at another step or report, nor in another run."""

    def go_on(state, hparams, key):
        return state, {"step": torch_random.uniform(key, dtype=torch.float64)}

    def measure(state, hparams, key):
        return {"report": torch_random.uniform(key, dtype=torch.float64)}

    known = trainable(go_on, lambda key, hparams: torch_random.uniform(key, dtype=torch.float64), measure)
    drawn = []
    for seed in (0, 1):
        leaves, metrics = Population(known, EIGHT, 8, seed).trained(3, 2)
        drawn += [*np.ravel(leaves), *np.ravel([[told["step"], told["report"]] for told in metrics])]

    assert len(np.unique(drawn)) == len(drawn) == 2 * 8 * (1 + 5 + 5)


def test_metrics_are_means_over_the_steps_of_a_report():
    """Of three steps the metric is their mean, nested ones are named by their path, and evaluate's are its own."""
    of_steps = Population(trainable(), EIGHT, 8).trained(6)[1]
    of_reports = Population(trainable(evaluate=evaluate, steps_per_report=3), EIGHT, 8).trained(2)[1]

    for steps, reports in zip(of_steps, of_reports, strict=True):
        np.testing.assert_allclose(reports["loss"], steps["loss"].reshape(2, 3).mean(1), **CLOSE)
        assert reports["of/step"].tolist() == [1.0, 4.0]
        assert steps["of/step"].tolist() == [0, 1, 2, 3, 4, 5]
        assert steps["of/step"].dtype == np.int64
        assert reports.keys() == {"loss", "of/step", "score", "drawn"}


def test_training_learns():
    """The loss of a good learning rate falls to less than half, so gradients are those of the row's own parameters."""
    told = Population(trainable(steps_per_report=50), EIGHT, 8).trained(10)[1]

    assert told[-1]["loss"][-1] < 0.5 * told[-1]["loss"][0]


def test_not_a_number_stays_in_its_row():
    """A row that diverges to NaN changes nothing for the others."""
    wild = [*EIGHT[:3], {"lr": float("inf"), "name": "same"}, *EIGHT[4:]]
    leaves, metrics = Population(trainable(), wild, 8).trained(5)
    calm = Population(trainable(), EIGHT, 8).trained(5)

    assert np.isnan(metrics[3]["loss"][-1])
    kept = [member for member in range(8) if member != 3]
    assert_same(*[[[values[member] for member in kept] for values in each] for each in ((leaves, metrics), calm)])


# ---------------------------------------------------------------------- rows that move


def counting(shapes):
    """Return a trainable whose state is ``shapes``, and all of them one tensor of each kind where shapes agree."""
    shared = torch.zeros(3)

    def begin(key, hparams):
        return {"own": torch_random.uniform(key, shapes), "shared": shared, "again": shared, "count": 0}

    def go_on(state, hparams, key):
        state["count"] += 1  # in place: tensors of the state are the step's own
        return state, {"count": state["count"]}

    return trainable(go_on, begin), shared


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rows=st.integers(1, 6))
def test_rows_move_as_an_array_of_rows_would(data, rows):
    """Moves are what numpy makes of ``rows[to] = rows[of]``, puts of ``rows[at] = new``, and takes are copies."""
    known, shared = counting((2,))
    configs = [{"lr": 0.1 * (member + 1)} for member in range(rows)]
    program = TorchProgram(known, Values(configs), rows, 0)
    segments, hparams = np.arange(rows), Values(configs).arrays(configs)
    block = program.begin(segments, hparams)
    expected = [leaf.copy() for leaf in program.take(block, range(rows))]
    numbers = st.lists(st.integers(0, rows - 1), max_size=rows)
    for turn in range(data.draw(st.integers(1, 5))):
        what = data.draw(st.sampled_from(["move", "put", "train"]))
        if what == "move":
            to = data.draw(numbers.map(lambda drawn: sorted(set(drawn))))
            of = data.draw(st.lists(st.integers(0, rows - 1), min_size=len(to), max_size=len(to)))
            block = program.move(block, to, of)
            for leaf in expected:
                leaf[to] = leaf[of]
        elif what == "put":
            at = data.draw(numbers.map(lambda drawn: sorted(set(drawn))))
            new = [np.full_like(leaf[at], 10 * turn + number) for number, leaf in enumerate(expected)]
            block = program.put(block, at, new)
            for leaf, values in zip(expected, new, strict=True):
                leaf[at] = values
                values += 1  # whoever gave them may write on
        else:
            block, pending = program.train(block, 1, segments, np.zeros(rows, np.int64), hparams)
            expected[program.names().index("count")] += 1
            told = expected[program.names().index("count")].copy()
            block = program.put(block, [], [leaf[:0] for leaf in expected])
            assert program.metrics(pending)["count"].tolist() == [told.tolist()]
        at = data.draw(numbers)
        for leaf, wanted in zip(program.take(block, at), expected, strict=True):
            assert leaf.dtype == wanted.dtype
            np.testing.assert_array_equal(leaf, wanted[at])
            leaf += 1
    for leaf, wanted in zip(program.take(block, range(rows)), expected, strict=True):
        np.testing.assert_array_equal(leaf, wanted)
    assert shared.tolist() == [0, 0, 0]


def test_steps_may_write_into_their_state():
    """A step that works in place, returns constants, or keeps a hyperparameter, changes nothing but its own state."""

    def begin(key, hparams):
        return {"count": 0, "reset": 0, "lr": hparams["lr"]}

    def go_on(state, hparams, key):
        state["count"] += 1
        state["reset"] += 1
        return {**state, "reset": torch.zeros((), dtype=torch.int64), "lr": hparams["lr"]}, {"count": state["count"]}

    program, hparams = TorchProgram(trainable(go_on, begin, steps_per_report=3), Values(EIGHT), 8, 0), arrays(EIGHT)
    segments, iterations = np.arange(8), np.zeros(8, np.int64)
    block = program.begin(segments, hparams)
    block, first = program.train(block, 1, segments, iterations, hparams)
    block, second = program.train(block, 2, segments, iterations + 1, hparams)
    rates = hparams["lr"].copy()
    hparams["lr"][:] = 0
    block = program.put(block, [1], [np.full_like(leaf, 7) for leaf in program.take(block, [1])])
    rates[1] = 7

    assert program.metrics(first)["count"].tolist() == [[2.0] * 8]
    assert program.metrics(second)["count"].tolist() == [[5.0] * 8, [8.0] * 8]
    count, reset, kept = program.take(block, range(8))
    assert count.tolist() == [9, 7, 9, 9, 9, 9, 9, 9]
    assert reset.tolist() == [0, 7, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(kept, rates)


TYPES = [
    "float64",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "complex64",
    "complex128",
    "uint8",
    "uint16",
    "int8",
    "bool",
]


@pytest.mark.parametrize("name", TYPES)
def test_rows_of_every_type_move(name):
    """Rows of types that numpy or torch's indexing lacks are copied, taken and put all the same, and keep them."""
    dtype = getattr(torch, name)
    program = TorchProgram(
        trainable(lambda s, h, k: (s, {}), lambda key, hparams: hparams["x"].to(dtype)),
        Values([{"x": 0.0}, {"x": 1.0}]),
        3,
        0,
    )
    block = program.begin(np.arange(3), {"x": np.array([0, 1, 0], np.float32)})
    block = program.move(block, [0, 1], [1, 0])
    taken = program.take(block, [0, 1, 2])
    block = program.put(block, [2, 1], [leaf[:2] for leaf in taken])

    assert [float(value.real) for value in taken[0]] == [1, 0, 0]
    assert [float(value.real) for value in program.take(block, [0, 1, 2])[0]] == [1, 0, 1]
    assert program.tree(taken).dtype == dtype


# ---------------------------------------------------------------------- what a member sees


def test_hyperparameters_are_of_their_types_where_members_differ():
    """Truth values, whole numbers and floats that differ are tensors of bool, int32 and float32; all else is plain."""
    seen = {}

    def go_on(state, hparams, key):
        seen.update(hparams)
        return state, {"sum": hparams["lr"] + hparams["deep"]["count"] + hparams["deep"]["flag"]}

    configs = [
        {"lr": 0.5, "deep": {"count": 2, "flag": True, "same": 3}, "name": "n"},
        {"lr": 0.25, "deep": {"count": 4, "flag": False, "same": 3}, "name": "n"},
    ]
    program = TorchProgram(trainable(go_on), Values(configs), 2, 0)
    block = program.begin(np.arange(2), arrays(configs))
    _, pending = program.train(block, 1, np.arange(2), np.zeros(2, np.int64), arrays(configs))

    assert program.metrics(pending)["sum"].tolist() == [[3.5, 4.25]]
    assert [seen["lr"].dtype, seen["deep"]["count"].dtype, seen["deep"]["flag"].dtype] == [
        torch.float32,
        torch.int32,
        torch.bool,
    ]
    assert (seen["lr"].shape, seen["deep"]["same"], seen["name"]) == ((), 3, "n")


Pair = namedtuple("Pair", "left right")


def test_a_tree_is_what_init_returns():
    """Names follow the path to a leaf, and the leaves of a row become the state again: named tuples, lists, None."""

    def begin(key, hparams):
        return {"z": Pair(torch.ones(2), [1, None, torch.ones((), dtype=torch.bfloat16)]), "a": (True,)}

    def go_on(state, hparams, key):
        return {"a": state["a"], "z": state["z"]}, {}

    program = TorchProgram(trainable(go_on, begin), Values(EIGHT), 2, 0)
    block = program.begin(np.arange(2), arrays(EIGHT[:2]))
    block, _ = program.train(block, 1, np.arange(2), np.zeros(2, np.int64), arrays(EIGHT[:2]))
    tree = program.tree(program.take(block, [1]))

    assert program.names() == ["z/left", "z/right/0", "z/right/2", "a/0"]
    assert type(tree["z"]) is Pair
    assert tree["z"].left.equal(torch.ones(2))
    assert tree["z"].right[1] is None
    assert tree["z"].right[0].dtype == torch.int64
    assert tree["z"].right[2].dtype == torch.bfloat16
    assert tree["a"][0].dtype == torch.bool


def test_batched_functions_have_the_axis_themselves():
    """With batched=True functions see keys, hyperparameters and state of all rows, and come to what mapped ones do."""

    def begin(keys, hparams):
        return torch_random.normal(keys, 3)

    def go_on(state, hparams, keys):
        state = state + hparams["lr"].reshape(-1, *[1] * (state.ndim - 1)) * torch_random.normal(keys, 3)
        return state, {"mean": state.mean(-1)}

    by_hand = Population(trainable(go_on, begin, batched=True, steps_per_report=2), EIGHT, 8).trained(3)
    mapped = Population(trainable(go_on, begin, steps_per_report=2), EIGHT, 8).trained(3)

    assert_same(by_hand, mapped)


def test_mapped_functions_can_be_compiled():
    """What a user maps and compiles whole, with draws and an optimiser in it, comes to what is mapped step by step."""

    def begin(key, hparams):
        net = torch_random.parameters(key, NETWORK)
        return {"net": net, "adam": torch_optim.AdamW(hparams["lr"]).init(net)}

    def go_on(state, hparams, key):
        at = torch_random.randint(key, 8, 0, 32)
        gradients, value = torch.func.grad_and_value(loss)(state["net"], X[at], Y[at])
        net, adam = torch_optim.AdamW(hparams["lr"]).update(gradients, state["adam"], state["net"])
        return {"net": net, "adam": adam}, {"loss": value}

    configs = [{"lr": config["lr"]} for config in EIGHT]
    compiled = torch.compile(torch.func.vmap(go_on), backend="eager", fullgraph=True)
    whole = Population(trainable(compiled, torch.func.vmap(begin), batched=True), configs, 8).trained(3)

    assert_same(whole, Population(trainable(go_on, begin), configs, 8).trained(3))


def test_batched_functions_may_use_autograd():
    """Backward passes work where functions are not mapped, and rows keep no graph."""

    def go_on(state, hparams, keys):
        weights = state.detach().requires_grad_()
        losses = (weights**2).sum(1)
        losses.sum().backward()
        return weights - hparams["lr"][:, None] * weights.grad, {"loss": losses}

    known = trainable(go_on, lambda keys, hparams: torch.ones(len(keys), 2), batched=True)
    leaves, told = Population(known, EIGHT, 4).trained(2)

    np.testing.assert_allclose([leaf[0][0] for leaf in leaves], [(1 - 2 * c["lr"]) ** 2 for c in EIGHT], rtol=1e-6)
    assert told[0]["loss"][0] == 2


# ---------------------------------------------------------------------- what is refused


def looks(state, hparams, key):
    return (state, {"a": hparams["lr"]}) if hparams["lr"] > 0.05 else (state, {"a": -hparams["lr"]})


def compares(state, hparams, key):
    return state, {"a": hparams["lr"] if hparams["lr"] > hparams["wd"] else 0.0}


REFUSED = [
    (looks, r"step\(\) looks at the value of the hyperparameter 'lr' .*if hparams.*torch.where"),
    (compares, r"step\(\) looks at the value of the hyperparameter 'lr' and 'wd' "),
    (lambda s, h, k: (s, {"a": h["wd"].item()}), "looks at the value of the hyperparameter 'wd'"),
    (lambda s, h, k: (s, {"a": float(s["steps"])}), "looks at the value of a tensor"),
    (lambda s, h, k: (s, {"a": torch.rand(())}), r"step\(\) draws from a generator of torch.*torch_random"),
    (lambda s, h, k: (s, {"a": X[0]}), r"metric 'a' is float32 of shape \(4,\): .*one number"),
    (lambda s, h, k: (s, 3.0), "must be a dict of numbers"),
    (lambda s, h, k: s, r"must return \(state, metrics\)"),
    (lambda s, h, k: (s, {"a": "word"}), "the metric 'a' is a str"),
    (lambda s, h, k: ({**s, "net": NETWORK}, {}), "another shape than init"),
    (lambda s, h, k: ({**s, "steps": NETWORK}, {}), "the state's steps is a Sequential.*functional_call"),
    (lambda s, h, k: ({**s, "nothing": 1}, {}), "None elsewhere"),
    (lambda s, h, k: ({**s, "steps": s["steps"] / 2}, {}), "the state's steps is int64 .* and float32 .* after step"),
    (
        lambda s, h, k: ({**s, "steps": s["steps"].to("meta")}, {}),
        "'steps' lies on meta, the population on cpu.*key.device",
    ),
    (lambda s, h, k: (s, {"a": s["missing"]}), r"step\(\) fails when it is tried.*KeyError: 'missing'"),
]


@pytest.mark.parametrize(("step", "told"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_mapped_is_refused_by_name(step, told):
    """A step that looks at a tensor, draws by itself, or returns something else, is refused before any training."""
    configs = [{"lr": 0.01, "wd": 0.0}, {"lr": 0.1, "wd": 0.5}]

    with pytest.raises(TrainableError, match=told):
        TorchProgram(trainable(step), Values(configs), 2, 0)


def test_batched_functions_without_the_axis_are_refused():
    """With batched=True a metric or a state that is one for all members is refused by name."""
    with pytest.raises(TrainableError, match=r"the metric 'mean' is of shape \(\) for two members: with batched=True"):
        TorchProgram(
            trainable(lambda s, h, k: (s, {"mean": s.mean()}), lambda k, h: h["lr"], batched=True), Values(EIGHT), 8, 0
        )


def test_an_if_about_a_value_that_all_share_is_none_of_ours():
    """What is plain in the configuration may decide a shape or a branch."""

    def go_on(state, hparams, key):
        return state, {"a": 1.0 if hparams["name"] == "same" else 2.0}

    assert Population(trainable(go_on), EIGHT, 8).trained(1)[1][7]["a"].tolist() == [1.0]


@pytest.mark.parametrize("devices", [2, ["cpu", "cpu"], []])
def test_several_devices_are_refused(devices):
    """A torch population lives on one device, and the error says what to give."""
    with pytest.raises(ConfigError, match="lives on one device"):
        TorchProgram(trainable(), Values(EIGHT), 2, 0, devices)
    for one in (None, 1, ["cpu"], [torch.device("cpu")], "cpu"):
        assert TorchProgram(trainable(), Values(EIGHT), 2, 0, one).rows == 2


# ---------------------------------------------------------------------- random numbers


# The vectors that the authors publish with their Random123 library: counters, keys and results.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return torch.tensor([int(word, 16) for word in text.split()])


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_philox_gives_the_published_numbers(counter, key, expected):
    """Philox4x32-10 gives what its authors' own program gives."""
    assert philox(words(counter), words(key)).equal(words(expected))
    assert philox(words(counter).expand(5, 4), words(key)).equal(words(expected).expand(5, 4))


DRAWS = {
    "uniform": lambda key: torch_random.uniform(key, 7, -1.0, 3.0),
    "uniform64": lambda key: torch_random.uniform(key, 7, dtype=torch.float64),
    "normal": lambda key: torch_random.normal(key, (3, 5)),
    "normal64": lambda key: torch_random.normal(key, (3, 5), torch.float64),
    "bernoulli": lambda key: torch_random.bernoulli(key, 0.3, 9),
    "randint": lambda key: torch_random.randint(key, (), -5, 5),
    "permutation": lambda key: torch_random.permutation(key, 6),
    "fold_in": lambda key: torch_random.fold_in(key, 3),
    "split": lambda key: torch_random.split(key, 3),
}


@pytest.mark.parametrize("name", DRAWS)
@settings(max_examples=20, deadline=None)
@given(seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
def test_a_key_gives_the_same_bits_in_any_batch(name, seeds):
    """Mapped, with leading axes, or one by one: the bits that a key gives are the same."""
    draw, keys = DRAWS[name], torch.stack([torch_random.key(seed) for seed in seeds])
    alone = torch.stack([draw(key) for key in keys])

    assert torch.func.vmap(draw)(keys).equal(alone)
    assert draw(keys).equal(alone)


def test_keys_made_of_keys_are_all_different():
    """Folded keys, split ones, theirs in turn, and the numbers drawn: none of 64 bits come twice."""
    base = torch_random.key(1)
    folded, split = torch_random.fold_in(base, torch.arange(500)), torch_random.split(base, 500)
    deeper = torch_random.fold_in(folded[:, None], torch.arange(20)).reshape(-1, 2)
    drawn = (torch_random.uniform(base, 1000, dtype=torch.float64) * 2**53).to(torch.int64)
    pairs = torch.cat([base[None], folded, split, deeper])

    assert len(pairs.unique(dim=0)) == 1 + 500 + 500 + 10_000
    assert len(drawn.unique()) == 1000
    assert torch_random.fold_in(base, 7).equal(folded[7])
    assert not torch_random.fold_in(base, 1 << 40).equal(torch_random.fold_in(base, 0))


def test_draws_are_distributed_as_they_say():
    """A million numbers of a fixed key: moments, and a chi-square of 256 equal classes, within five standard errors."""
    count = 1_000_000
    key = torch_random.key(7)

    def close(values, mean, variance):
        assert abs(values.double().mean() - mean) < 5 * (variance / count) ** 0.5

    uniform = torch_random.uniform(key, count, 2.0, 4.0)
    close(uniform, 3, 1 / 3)
    close((uniform - 3) ** 2, 1 / 3, 4 / 45)
    assert uniform.min() >= 2
    assert uniform.max() < 4
    normal = torch_random.normal(key, count)
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        close(normal.double() ** power, mean, variance)
    close(torch_random.bernoulli(key, 0.3, count), 0.3, 0.21)
    whole = torch_random.randint(key, count, -5, 5)
    assert whole.unique().tolist() == list(range(-5, 5))
    close(whole, -0.5, 8.25)
    classes = torch.bincount(((uniform - 2) * 128).long(), minlength=256).double()
    assert abs(((classes - count / 256) ** 2).sum() * 256 / count - 255) < 5 * (2 * 255) ** 0.5
    neighbours = (normal[1:] * normal[:-1]).double()
    assert abs(neighbours.mean()) < 5 / count**0.5
    across = torch_random.normal(torch_random.split(key, count))
    close(across, 0, 1)
    close(across**2, 1, 2)


def test_a_permutation_is_any_of_them():
    """Of three things all six orders come about equally often, and each has every thing once."""
    orders = torch_random.permutation(torch_random.split(torch_random.key(2), 6000), 3)
    numbers = orders @ torch.tensor([9, 3, 1])

    assert orders.sort(-1).values.equal(torch.arange(3).expand(6000, 3))
    counts = numbers.unique(return_counts=True)[1]
    assert len(counts) == 6
    assert (counts - 1000).abs().max() < 5 * (6000 * 5 / 36) ** 0.5


def test_parameters_are_drawn_as_torch_draws_them():
    """Weights and biases fill the bounds that torch's own have, norms stay, and what is unknown is refused."""
    convolution = torch.nn.Conv2d(3, 64, 5)
    module = torch.nn.Sequential(convolution, torch.nn.BatchNorm2d(64), torch.nn.Embedding(50, 40))
    drawn = torch_random.parameters(torch_random.key(3), module)

    assert {name: value.shape for name, value in drawn.items()} == {n: p.shape for n, p in module.named_parameters()}
    bound = (3 * 25) ** -0.5
    for name in ("0.weight", "0.bias"):
        assert 0.9 * bound < drawn[name].abs().max() <= bound
        assert not drawn[name].equal(dict(module.named_parameters())[name])
    assert abs(drawn["2.weight"].std() - 1) < 0.1
    assert drawn["1.weight"].equal(torch.ones(64))
    with pytest.raises(TrainableError, match="'weight_ih_l0' of a LSTM is random"):
        torch_random.parameters(torch_random.key(3), torch.nn.LSTM(2, 3))


# ---------------------------------------------------------------------- optimisers


OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "betas": (0.8, 0.99), "weight_decay": 0.3}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMISERS)
def test_an_optimiser_does_what_torchs_own_does(name, options):
    """Ten steps lead to the parameters that torch.optim leads to, mapped over members that differ in every setting."""

    def objective(parameters):
        return ((parameters["w"] ** 2 - 1).sum() + parameters["b"].sin().sum()) ** 2

    start = {"w": torch.tensor([1.5, -0.5]), "b": torch.tensor([0.3])}

    def trained(settings):
        optimiser = getattr(torch_optim, name)(**settings)
        parameters, state = start, optimiser.init(start)
        for _ in range(10):
            parameters, state = optimiser.update(torch.func.grad(objective)(parameters), state, parameters)
        return parameters

    def expected(settings):
        parameters = {path: torch.nn.Parameter(value.clone()) for path, value in start.items()}
        optimiser = getattr(torch.optim, name)(parameters.values(), **settings)
        for _ in range(10):
            optimiser.zero_grad()
            objective(parameters).backward()
            optimiser.step()
        return parameters

    members = [{**options, "lr": lr} for lr in (0.1, 0.01)]
    numbers = {path: value for path, value in options.items() if isinstance(value, float) and path != "lr"}
    stacked = torch.tensor([[member["lr"], *numbers.values()] for member in members])
    mapped = torch.func.vmap(lambda row: trained({**options, **dict(zip(("lr", *numbers), row, strict=True))}))(stacked)
    for place, member in enumerate(members):
        wanted, alone = expected(member), trained(member)
        for path in start:
            torch.testing.assert_close(alone[path], wanted[path].detach(), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(mapped[path][place], wanted[path].detach(), rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------------- in a run


def fitted(folder, executor):
    space = {"lr": ramet.loguniform(1e-3, 1e-1)}
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations=space, synch=True
    )
    return ramet.Tuner(
        trainable(evaluate=evaluate, steps_per_report=3),
        param_space=space,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=5, seed=1, scheduler=scheduler),
        run_config=ramet.RunConfig(storage_path=folder, stop={"training_iteration": 8}, verbose=0, executor=executor),
    ).fit()


def test_a_run_comes_to_the_same_on_any_executor(tmp_path):
    """All members at once, two at a time, or each by itself: they clone each other alike, with the same scores."""
    together = fitted(tmp_path / "a", ramet.VectorExecutor())
    for folder, executor in (("b", ramet.VectorExecutor(rows=2)), ("c", "inline")):
        other = fitted(tmp_path / folder, executor)
        for one, another in zip(together, other, strict=True):
            assert one.config == another.config
            assert one.metrics["score"] == pytest.approx(another.metrics["score"], rel=1e-4)
    assert any(result.schedule.frame().shape[0] > 1 for result in together)


def test_a_result_gives_its_state_and_can_be_trained_again(tmp_path):
    """The best model is loaded as what init returns, and training it again along its lineage leads to it."""
    best = fitted(tmp_path, ramet.VectorExecutor()).get_best_result()
    known = trainable(evaluate=evaluate, steps_per_report=3)
    state, again = known.load(best), known.replay(best)

    assert state["nothing"] is None
    assert float(-loss(state["net"], X, Y)) == pytest.approx(best.metrics["score"], rel=1e-5)
    assert again.metrics["score"] == pytest.approx(best.metrics["score"], rel=1e-4)
    torch.testing.assert_close(again.state["net"], state["net"], **CLOSE)


@pytest.mark.parametrize("sign", ["-", "+"])
def test_the_page_changes_few_lines_of_a_program(sign, tmp_path, monkeypatch):
    """The programs before and after the change that the page shows both run, and fewer than 20 lines are new."""
    page = (Path(__file__).parent.parent / "docs" / "vector-torch.md").read_text(encoding="utf-8")
    (change,) = re.findall(r"<!-- change -->\n```diff\n(.*?)```", page, re.DOTALL)
    lines = change.splitlines()
    program = "\n".join(line[1:] for line in lines if line[:1] in (" ", sign))
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path))
    if sign == "-":
        program = program.replace("verbose=0", "verbose=0, executor='inline'")  # to import torch once
    found: dict[str, object] = {}
    exec(program, found)

    assert found["results"].get_best_result().metrics["loss"] < 2.0
    assert sum(line.startswith("+") and len(line) > 1 for line in lines) < 20
