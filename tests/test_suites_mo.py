"""Strategies for several objectives, without a centre, and of pairs pass the suite that every strategy passes."""

import ramet
from ramet.testing import StrategySuite

TIMES = {"time_attr": "training_iteration", "perturbation_interval": 5}


class TestMultiObjectivePBT(StrategySuite):
    def make(self, mutations):
        return ramet.MultiObjectivePBT(
            {"accuracy": "max", "size": "min"},
            hyperparam_mutations=mutations,
            reference={"accuracy": 0, "size": 9},
            **TIMES,
        )


class TestDexPBT(StrategySuite):
    def make(self, mutations):
        return ramet.DexPBT(mutations, burn_in_period=0, **TIMES)


class TestDexPBTThatMutatesAll(StrategySuite):
    def make(self, mutations):
        return ramet.DexPBT(mutations, burn_in_period=0, mutation_probability=1.0, **TIMES)


class TestPairwisePBT(StrategySuite):
    def make(self, mutations):
        return ramet.PairwisePBT(hyperparam_mutations=mutations, **TIMES)


class TestPairwisePBTWithoutDraws(StrategySuite):
    def make(self, mutations):
        return ramet.PairwisePBT(
            hyperparam_mutations=mutations, resample_probability=0.0, quantile_fraction=0.5, leaders=True, **TIMES
        )

    def test_the_best_is_not_replaced(self):
        """The member with the highest score keeps its weights, also where leaders clone each other."""
        super().test_the_best_is_not_replaced()

    def test_another_seed_gives_other_draws(self):
        """Without draws, members that are all alike stay so: everything lies between what there was."""
        population = [{"lr": 0.01, "h": 0.5, "n": 4, "deep": {"k": 2}}] * 6
        from ramet.testing.strategies import population_of

        for seed in range(5):
            for decision in self._decide(population_of([4.0, 1.0, 3.0, 2.0, 9.0, 0.0], population, seed=seed)):
                assert (
                    decision.hparams is None
                    or {**decision.hparams, "lr": round(decision.hparams["lr"], 9)} == population[0]
                )
