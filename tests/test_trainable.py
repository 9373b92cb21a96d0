"""Training functions in every shape in which they come, here and in workers."""

import functools

import pytest

import ramet
from ramet.errors import TrainableError
from ramet.executor.pickling import pickled
from ramet.trainable import check, loaded


def plain(config):
    """A function of a module."""
    ramet.report({"score": config["lr"]})


def with_default(config, scale=1.0):
    """A function with more than it needs."""
    ramet.report({"score": config["lr"] * scale})


def starred(*arguments):
    """A function of anything."""
    plain(*arguments)


def yielding(config):
    """A generator function."""
    yield {"score": config["lr"]}


def returning(config):
    """A function whose result is its report."""
    return {"score": config["lr"]}


class Callable:
    """A callable object."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, config):
        """Train."""
        ramet.report({"score": config["lr"] * self.scale})

    def method(self, config):
        """Train as well."""
        self(config)

    @staticmethod
    def static(config):
        """Train without an object."""
        plain(config)

    @classmethod
    def of_class(cls, config):
        """Train with the class."""
        plain(config)


def decorated(function):
    """Wrap as decorators do."""

    @functools.wraps(function)
    def wrapper(*arguments, **named):
        return function(*arguments, **named)

    return wrapper


def closure():
    """A function that is no module's, with a variable of its own and a friend."""
    scale = 1.0

    def helper(config):
        return config["lr"] * scale

    def inner(config):
        ramet.report({"score": helper(config)})

    return inner


def main_function():
    """A function as a script's own: defined in __main__, with a global function."""
    namespace = {"__name__": "__main__", "ramet": ramet}
    source = "def helper(x):\n  return x\ndef train(config):\n  ramet.report({'score': helper(config['lr'])})"
    exec(source, namespace)
    return namespace["train"]


SHAPES = {
    "a function": plain,
    "with a default": with_default,
    "of anything": starred,
    "a generator": yielding,
    "a return value": returning,
    "a lambda": lambda config: ramet.report({"score": config["lr"]}),
    "a closure": closure(),
    "of a script": main_function(),
    "a callable object": Callable(1.0),
    "a method": Callable(1.0).method,
    "a static method": Callable.static,
    "a class method": Callable.of_class,
    "decorated": decorated(plain),
    "a partial": functools.partial(with_default, scale=1.0),
    "a partial of a partial": functools.partial(functools.partial(with_default), scale=1.0),
    "with parameters": ramet.with_parameters(with_default, scale=1.0),
    "with resources": ramet.with_resources(plain, {"cpu": 1}),
    "with both": ramet.with_resources(ramet.with_parameters(Callable(1.0).method), {"cpu": 1}),
}


@pytest.mark.parametrize("function", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_function_trains(tmp_path, function):
    """Whatever is callable with a configuration is a training function."""
    results = ramet.Tuner(
        function,
        param_space={"lr": 0.5},
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline"),
    ).fit()
    assert results.num_errors == 0, results.errors
    assert results[0].metrics["score"] == 0.5


class Every:
    """All shapes at once, to be sent to one worker."""

    def __init__(self, shapes):
        self.shapes = shapes

    def __call__(self, config):
        """Train as the configuration says."""
        return self.shapes[config["shape"]](config)


def test_every_shape_of_function_can_be_sent(tmp_path):
    """Functions of modules, of scripts and of nowhere arrive in workers, with their variables."""
    results = ramet.Tuner(
        Every(SHAPES),
        param_space={"lr": 0.5, "shape": ramet.grid_search(list(SHAPES))},
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor=ramet.ProcessExecutor(2)),
    ).fit()
    assert [result.metrics["score"] for result in results if result.error is None] == [0.5] * len(SHAPES), (
        results.errors
    )


def test_a_parameter_may_be_large_and_is_sent_once(tmp_path):
    """Bound objects reach every worker; many members in one worker share the very same one."""
    seen = ramet.with_parameters(identified, data=bytearray(1_000_000))
    results = ramet.Tuner(
        seen,
        tune_config=ramet.TuneConfig(num_samples=5),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor=ramet.ProcessExecutor(1)),
    ).fit()
    assert len({result.metrics["id"] for result in results}) == 1
    assert results[0].metrics["size"] == 1_000_000


def identified(config, data):
    """Tell one object from another."""
    ramet.report({"id": id(data), "size": len(data)})


def test_what_is_checked_is_not_called():
    """Looking at a function runs nothing of it."""

    def explosive(config):
        raise AssertionError("called")

    check(explosive)
    assert loaded(explosive) is explosive
    assert isinstance(pickled(explosive), bytes)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: len, None),
        (lambda: print, None),
        (lambda: int, ["int", "is a class"]),
        (lambda: lambda: None, ["takes no configuration"]),
        (lambda: lambda config, data: None, ["cannot be called as", "'data'", "with_parameters()"]),
        (lambda: ramet.with_parameters(plain, dta=1), ["plain(config, dta=…)", "'dta'"]),
        (lambda: ramet.with_parameters(with_default, config=1), ["'config'"]),
        (lambda: functools.partial(plain, {}), ["partial", "takes no configuration", "(config)"]),
    ],
)
def test_whether_it_can_be_called_is_known_before_any_work(make, words):
    """A signature that does not take a configuration and the bound parameters is refused, with what is wrong in it."""
    if words is None:
        check(make())
        return
    with pytest.raises(TrainableError) as caught:
        check(make())
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_parameters_may_be_bound_one_after_the_other():
    """Only what is finally there counts: parameters that come later are not missed before."""

    def needy(config, one, two):
        """Need two."""

    half = ramet.with_parameters(needy, one=1)
    with pytest.raises(TrainableError, match="'two'"):
        check(half)
    check(ramet.with_parameters(half, two=2))
    check(ramet.with_parameters(ramet.with_resources(half, {"cpu": 1}), two=2))
