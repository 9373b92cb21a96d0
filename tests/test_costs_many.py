"""What a decision looks at grows neither with the population nor with the length of the run. Counted, not timed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from pure import SMALL, Pure

import ramet.core.scene as scene_module
import ramet.core.shares as shares_module
from ramet import PopulationBasedTraining, loguniform, uniform
from ramet.core.engine import Terms
from ramet.core.messages import Block, Handover
from ramet.core.population import Point
from ramet.core.ranking import Ranking
from ramet.core.roster import Roster, Running
from ramet.core.scene import Scene
from ramet.core.shares import key_of
from ramet.draws import entropy, seeded
from ramet.space import Space
from ramet.strategy.exploit import Exploit, Never, Truncation
from ramet.strategy.groups import Groups
from ramet.strategy.multi_frequency import Frequencies
from ramet.strategy.spread import GapThreshold, SpreadThreshold
from ramet.strategy.tournament import BinaryTournament
from ramet.testing.strategies import population_of


def lines_run(function: Callable[[], Any]) -> int:
    """How many lines of Ramet ``function`` runs through, those of comprehensions once for each item."""
    count = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if "ramet" in frame.f_globals.get("__name__", "") else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


class Run:
    """A population at work, and what each handover costs the controller until its commands are planned."""

    def __init__(
        self, members: int, *, synch: bool = False, slots: int | None = None, interval: int = 5, **more: Any
    ) -> None:
        self.pure = Pure(members, synch=synch, interval=interval, **more)
        self.population, self.engine = self.pure.population, self.pure.engine
        self.roster = Roster(self.engine, range(slots or members))
        self.roster.plan()

    def cost(self, member: int, score: float, *, last: int | None = None, error: str | None = None) -> int:
        """Let ``member`` report up to iteration ``last``, by default to where it decides; return the lines run."""
        work = next(work for work in self.roster.running.values() if work.member == member)
        first = self.population.current(member).last + 1
        last = last or int(self.pure.strategy.due(self.population.members[member]))
        block = Block(first, last, {"score": score}, "", "", 0.0, float(last), float(last), SMALL)
        handover = Handover(work.work, (block,), waiting=error is None, error=error)
        return lines_run(lambda: self._take_in(work, handover))

    def _take_in(self, work: Running, handover: Handover) -> None:
        self.engine.record(work.segment, handover)
        if handover.error is not None:
            self.roster.ended(work)
        else:
            self.roster.waits(work, waiting=True)
        self.engine.decide()
        self.population.garbage()
        self.engine.note_budget()
        self.roster.plan()

    def rounds(self, times: int) -> Run:
        """Let everybody report and decide so often, the strongest last, so that whoever comes is the best so far."""
        for _ in range(times):
            for member in range(len(self.population.members)):
                self.cost(member, float(self.population.members[member].compute + member))
        return self


def alike(costs: list[int], slack: float = 1.05) -> bool:
    """Whether costs are the same but for what single draws lead to."""
    return max(costs) <= slack * min(costs)


def test_a_decision_to_go_on_costs_the_same_in_any_population() -> None:
    """An asynchronous decision looks at as much among 1,000 members as among 100."""
    costs = [Run(members).rounds(1).cost(members // 2, 1e6) for members in (100, 1000)]
    assert alike(costs), costs


def test_a_clone_costs_the_same_in_any_population() -> None:
    """Finding a donor among 1,000 members costs as much as among 100."""
    runs = [Run(members).rounds(1) for members in (100, 1000)]
    costs = [run.cost(7, -1.0) for run in runs]
    assert [run.population.members[7].exploits for run in runs] == [1, 1]
    assert alike(costs, 1.2), costs


def test_a_barrier_costs_each_member_the_same_in_any_population() -> None:
    """A synchronous decision of 1,000 members costs ten times that of 100, clones included."""
    costs = []
    for members in (100, 1000):
        run = Run(members, synch=True)
        costs.append(sum(run.cost(member, float(member)) for member in range(members)) // members)
        assert run.population.exploits == members // 4
    assert alike(costs), costs


@pytest.mark.parametrize("score", [-1.0, 1e6])
def test_a_decision_costs_the_same_late_in_a_run(score: float) -> None:
    """After 30 intervals a decision costs what it cost after 2."""
    costs = [Run(50).rounds(intervals).cost(7, score) for intervals in (2, 30)]
    assert alike(costs, 1.2), costs


def test_a_clone_costs_the_same_however_often_its_donor_saves() -> None:
    """A donor's checkpoints since its last decision are not looked at one by one."""
    costs = []
    for saves in (1, 300):
        run = Run(10, interval=1000).rounds(1)
        for donor in range(7, 10):
            for save in range(saves):
                run.cost(donor, 1.0, last=1001 + save)
        costs.append(run.cost(0, -1.0))
        assert run.population.members[0].exploits == 1
    assert alike(costs, 1.2), costs


def test_a_turn_costs_the_same_with_any_number_of_slots() -> None:
    """Giving a slot to a member that waits for one does not look at who works in the others."""
    costs = []
    for slots in (10, 300):
        run = Run(600, slots=slots)
        costs.append(run.cost(3, 1.0))
        assert slots in {work.member for work in run.roster.running.values()}
    assert alike(costs), costs


def test_replacing_looks_at_the_failed_alone() -> None:
    """Where the failed are replaced, a decision costs the same in any population."""
    costs = []
    for members in (100, 1000):
        run = Run(members, terms=Terms("score", "max", replace=True)).rounds(1)
        run.cost(3, 1.0, last=6, error="broken")
        costs.append(run.cost(7, 1e6))
        assert run.population.members[3].live
    assert alike(costs, 1.2), costs


class Score(float):
    """A number that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: float) -> bool:
        Score.compared += 1
        return float(self) < float(other)

    def __gt__(self, other: float) -> bool:
        Score.compared += 1
        return float(self) > float(other)

    def __eq__(self, other: object) -> bool:
        Score.compared += 1
        return float(self) == other

    __hash__ = float.__hash__


@pytest.mark.parametrize("members", [100, 1000, 10_000])
def test_a_place_in_the_ranking_is_found_by_halving(members: int) -> None:
    """Moving a member, its rank, and who is better than it, each compare scores a few times log2 of the population."""
    ranking = Ranking({number: Point(number, 5, 5.0, Score(number * 7 % 997), 0.0, 0.0) for number in range(members)})
    moved = Point(members // 3, 10, 10.0, Score(3), 0.0, 0.0)
    for question in (
        lambda: ranking.place(members // 3, moved),
        lambda: ranking.rank(members // 2),
        lambda: ranking.best(members // 4, above=Score(500)),
    ):
        Score.compared = 0
        question()
        assert Score.compared <= 6 * math.log2(members)


def many_scene(members: int) -> Scene:
    """A synchronous round in which everybody has just handed over a checkpoint."""
    space = Space(None, {"lr": loguniform(1e-5, 1e-1), "h": uniform(0.0, 1.0)})
    founder = [{"lr": 1e-3, "h": 0.5}] * members
    population = population_of([float(number * 7919 % members) for number in range(members)], founder)
    return Scene.of(population, space, range(members), Ranking({m.number: m.point for m in population.members}))


RULES: dict[str, Exploit] = {
    "truncation": Truncation(0.01),
    "tournament": BinaryTournament(),
    "spread": SpreadThreshold(deviations=1.7),
    "gap": GapThreshold(worst=0.01, own_hparams=0.5),
    "groups": Groups(4, Truncation(0.01)),
    "frequencies": Frequencies((1, 2), 5.0),
    "never": Never(),
}


@pytest.mark.parametrize("name", RULES)
def test_who_clones_whom_is_found_without_a_generator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round of 1,000 members hashes a name or two for each group of them, and makes no generator."""
    made: list[str] = []
    key_of.cache_clear()
    monkeypatch.setattr(shares_module, "entropy", lambda *name: made.append("hash") or entropy(*name))
    for maker in ("generator", "seeded", "entropy"):
        monkeypatch.setattr(scene_module, maker, lambda *name, maker=maker: made.append(maker))
    choices = RULES[name](many_scene(1000))
    assert any(choice.donor is not None for choice in choices.values()) or name == "never"
    assert made == ["hash"] * len(made)
    assert len(made) <= 2


def test_generators_are_made_for_clones_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round makes one generator for each clone and key, of seeds that are mixed together: none for who goes on."""
    made: list[Any] = []
    monkeypatch.setattr(scene_module, "seeded", lambda seed: made.append(seed) or seeded(seed))
    monkeypatch.setattr(scene_module, "generator", lambda *name: pytest.fail(f"{name} was seeded by itself"))
    scene = many_scene(1000)
    strategy = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": loguniform(1e-5, 1e-1), "h": uniform(0.0, 1.0)},
        quantile_fraction=0.05,
    )
    clones = [decision for decision in strategy.decide(scene) if decision.verdict == "exploit"]
    assert len(clones) == 50
    assert len(made) == 50 * 2


def test_places_are_found_for_a_round_at_once() -> None:
    """Where all have moved, the ranking compares scores as often as sorting them does, not twice for each member."""
    ranking = Ranking({number: Point(number, 5, 5.0, Score(number), 0.0, 0.0) for number in range(1000)})
    moved = {number: Point(number, 9, 9.0, Score(number * 7 % 997), 0.0, 0.0) for number in range(1000)}
    Score.compared = 0
    ranking.place_all(moved)
    assert Score.compared <= 1000 * math.log2(1000)
    assert ranking.in_order() == sorted(moved, key=lambda number: (float(moved[number].score), number))
