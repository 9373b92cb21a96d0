"""Rules for one hyperparameter: what they do, and that whatever they do stays in the domain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ramet
from ramet.domains import Categorical, Ordered
from ramet.errors import ConfigError
from ramet.schedulers import Chain, Either, Keep, OneMinus, Perturb, Resample, Scale, Shift
from ramet.space import Space
from ramet.strategy.ramps import Ramp, glides

RULES = {
    "perturb": Perturb(),
    "resample": Resample(),
    "resample at times": Resample(0.5),
    "shift": Shift(),
    "shift far": Shift(steps=(7, 12), of=10),
    "scale": Scale(),
    "keep": Keep(),
    "chain": Chain((Perturb((2.0,)), Shift())),
    "either": Either(0.5, Resample(), Perturb((3.0, 0.3))),
}
DOMAINS = {
    "uniform": ramet.uniform(0.0, 1.0),
    "far from zero": ramet.uniform(0.9, 1.0),
    "across zero": ramet.uniform(-1.0, 2.0),
    "log": ramet.loguniform(1e-5, 1e-1),
    "quantised": ramet.quniform(0.0, 1.0, 0.25),
    "integer": ramet.randint(1, 9),
    "one integer": ramet.randint(3, 4),
    "log integer": ramet.lograndint(1, 1000),
    "normal": ramet.randn(0.0, 1.0),
    "list": Ordered((16, 32, 64, 128)),
    "list of one": Ordered((16,)),
    "categories": Categorical(("relu", "tanh")),
}


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_what_a_rule_gives_is_in_the_domain(rule, domain):
    """Whatever value it is given, inside or out, what comes back is one of the domain's, of its type."""
    outside = [math.nan, math.inf, -1e9, 1e9, 0, "x", None]
    for seed in range(40):
        value = outside[seed % len(outside)] if seed % 3 == 0 else domain.sample(rng(seed))
        result = rule(domain, value, rng(100 + seed))
        assert domain.contains(result), (value, result)
        assert domain.type is object or type(result) is domain.type


@given(value=st.floats(0.0, 1.0), seed=st.integers(0, 999), steps=st.integers(1, 10))
def test_a_shift_moves_by_its_steps(value, seed, steps):
    """A value moves by so many tenths of the width, up or down, inwards where the bound is nearer than that."""
    moved = Shift(steps=(steps,))(DOMAINS["uniform"], value, rng(seed))
    far = steps / 10
    if value + far > 1 and value - far < 0:
        assert moved in (0.0, 1.0)
    else:
        assert math.isclose(abs(moved - value), far, abs_tol=1e-6)


def test_a_shift_moves_lists_by_entries_and_integers_by_one_at_least():
    """In a list a step is an entry; an integer domain with fewer values than steps moves by one value."""
    entries = Ordered(tuple(range(100)))
    assert {Shift(steps=(3,))(entries, 50, rng(seed)) for seed in range(30)} == {47, 53}
    assert {Shift(steps=(1,), of=50)(DOMAINS["integer"], 4, rng(seed)) for seed in range(30)} == {3, 5}
    assert Shift(steps=(1,), of=50)(DOMAINS["integer"], 8, rng(0)) == 7


def test_zero_is_no_trap_for_a_shift():
    """Being additive, it leaves 0 as it leaves any other place."""
    assert Shift(steps=(1,))(DOMAINS["uniform"], 0.0, rng()) == pytest.approx(0.1)


@pytest.mark.parametrize("rule", [Perturb((2.0, 0.5)), Scale(1.1, 1.2)])
def test_one_minus_multiplies_the_distance_from_one(rule):
    """A discount moves by a factor of 1 - discount, and always moves."""
    domain, found = ramet.uniform(0.9, 0.9999), set()
    for seed in range(40):
        moved = OneMinus(rule)(domain, 0.99, rng(seed))
        assert domain.contains(moved)
        found.add(round((1 - moved) / 0.01, 9))
    if isinstance(rule, Perturb):
        assert found == {2.0, 0.5}
    else:
        assert all(1.1 <= max(by, 1 / by) <= 1.2 for by in found)
        assert {by > 1 for by in found} == {True, False}


def test_one_minus_leaves_one_and_a_bound():
    """Where 1 - value is 0 no factor leads away, and where a bound stops a step it goes inwards: it always moves."""
    for domain, value in (
        (ramet.uniform(0.5, 1.0), 1.0),
        (ramet.uniform(0.9, 0.99), 0.9),
        (ramet.uniform(0.9, 0.99), 0.99),
    ):
        for seed in range(10):
            moved = OneMinus()(domain, value, rng(seed))
            assert moved != value
            assert domain.contains(moved)


def test_scale_goes_both_ways_within_its_factors():
    """Factors lie between low and high or are one over that, each about half of the time."""
    factors = [Scale(1.1, 1.5).factor(rng(seed)) for seed in range(400)]
    assert all(1.1 <= max(f, 1 / f) <= 1.5 for f in factors)
    assert 140 < sum(f > 1 for f in factors) < 260


BAD = {
    "no factors": lambda: Perturb(()),
    "factor 0": lambda: Perturb((1.2, 0)),
    "factors a word": lambda: Perturb("12"),
    "probability": lambda: Resample(1.5),
    "probability True": lambda: Either(True, Keep(), Keep()),
    "negative steps": lambda: Shift(steps=(-1,)),
    "steps no integers": lambda: Shift(steps=(0.5,)),
    "no steps": lambda: Shift(steps=()),
    "of 0": lambda: Shift(of=0),
    "scale below 1": lambda: Scale(0.5, 2.0),
    "scale upside down": lambda: Scale(2.0, 1.5),
    "one minus a shift": lambda: OneMinus(Shift()),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_bad_arguments_are_refused_when_a_rule_is_made(make):
    """What cannot work is no rule."""
    with pytest.raises(ConfigError):
        make()


def pbt(**arguments):
    return ramet.PopulationBasedTraining(
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0), "n": ramet.randint(1, 9), "deep": {"x": [1, 2]}},
        **arguments,
    )


@pytest.mark.parametrize(
    ("explore", "words"),
    [
        ({"gamma": Keep()}, "gamma"),
        ({"n": OneMinus()}, "floats"),
        ({"lr": "keep"}, "no rule"),
        ("keep", "explore="),
        ([], "explore="),
        (3, "explore="),
    ],
)
def test_a_rule_that_cannot_work_is_refused_before_any_work(explore, words):
    """A rule for a key that is not mutated, or in a domain that it cannot serve, is refused with both names."""
    with pytest.raises(ConfigError, match=words):
        pbt(explore=explore)


def test_rules_by_key_leave_all_other_keys_as_they_are_drawn_without_them():
    """A key's own rule changes no other key's draw."""
    from ramet.core.scene import Scene
    from ramet.testing.strategies import population_of

    configs = [{"lr": 0.5, "n": 4, "deep": {"x": 1}}] * 4
    space = Space(None, pbt().mutations)

    def clone(strategy):
        scene = Scene.of(population_of([4.0, 1.0, 3.0, 2.0], configs), space, range(4))
        return next(d.hparams for d in strategy.decide(scene) if d.verdict == "exploit")

    plain, kept = clone(pbt()), clone(pbt(explore={"lr": Keep(), "deep/x": Keep()}))
    assert kept["lr"] == 0.5
    assert kept["deep"] == {"x": 1}
    assert kept["n"] == plain["n"]
    assert plain["lr"] != 0.5


def test_rules_in_a_row_keep_what_each_wants_remembered():
    """What an explore rule notes for later is kept though another one follows; later notes of a name win."""
    from ramet.schedulers import Then

    def noting(**told):
        return lambda scene, member, config: (config, {}, told)

    class Scene:
        attempt = 0
        space = Space(None, {})

        def again(self, attempt):
            return self

    assert Then([noting(a=1, b=1), noting(b=2)])(Scene(), 0, {})[2] == {"a": 1, "b": 2}


# ---------------------------------------------------------------------- ramps


@given(exact=st.floats(0.001, 1.0), speed=st.floats(0.001, 1.0), direction=st.sampled_from([1, -1]))
def test_a_ramp_multiplies_until_a_bound_ends_it(exact, speed, direction):
    """A step multiplies by exp(speed) or divides by it; a bound is met exactly, and never left again."""
    domain = ramet.uniform(0.001, 1.0)
    ramp = Ramp(direction, exact).moved(domain, speed)
    goal = exact * math.exp(direction * speed)
    if 0.001 < goal < 1.0:
        assert ramp.exact == pytest.approx(goal)
        assert ramp.direction == direction
    else:
        assert ramp == Ramp(0, 1.0 if direction > 0 else 0.001)
        assert ramp.moved(domain, speed) == ramp


def test_a_ramp_carries_an_integer_on_in_time():
    """Steps too small for an integer add up, and its values are those of the domain."""
    domain, ramp, seen = ramet.randint(1, 9), Ramp(1, 4.0), []
    for _ in range(12):
        ramp = ramp.moved(domain, 0.05)
        seen.append(ramp.value(domain))
    assert seen[0] == 4
    assert seen[-1] == 7
    assert seen == sorted(seen)


def test_a_ramp_gets_past_zero():
    """Upwards from 0 a step is as large as a tenth of the width makes it; downwards it goes on below."""
    domain = ramet.uniform(-1.0, 1.0)
    up = Ramp(1, 0.0).moved(domain, 0.25)
    assert up.exact > 0.05
    down = Ramp(-1, 0.01)
    for _ in range(3):
        down = down.moved(domain, 0.25)
    assert down.exact != 0.01


def test_only_numbers_glide():
    """Lists and categories have no direction, and one integer has nowhere to go."""
    gliding = {name for name, domain in DOMAINS.items() if glides(domain)}
    assert gliding == {*DOMAINS} - {"list", "list of one", "categories", "one integer"}
