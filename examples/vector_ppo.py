"""Train a population of agents at once by proximal policy optimisation (PPO), as rows of one JAX program.

    python vector_ppo.py [--members N] [--seed N] [--out DIR] [--smoke-test]
    python vector_ppo.py --compare   # 20 seeds of population based training and of random search: some minutes
    python vector_ppo.py --solve     # seconds until the median of N agents balances the pole, and until one alone does

Each agent learns to balance a pole on a cart, in 8 worlds of its own. PPO is written here from its paper (Schulman et
al. 2017, Proximal Policy Optimization Algorithms, https://arxiv.org/abs/1707.06347), with advantages from Schulman et
al. 2016 (High-Dimensional Continuous Control Using Generalized Advantage Estimation, https://arxiv.org/abs/1506.02438).
How fast an agent should learn, how far it should look ahead, how much it should try out, and how far it may go from the
policy that gathered its data, the population finds out. The picture is ``vector_ppo.png``.

It takes ``pip install ramet[jax,plot] optax gymnax six``; gymnax does not say that it needs the last one.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

import ramet
from ramet.plots import paper

# The world
# ---------
# CartPole-v1 ends when the pole falls, or after 500 steps: what an episode returns is how long the pole stood.

world, constants = gymnax.make("CartPole-v1")
SIZE, ACTIONS = 4, 2
WORLDS, STEPS = 8, 64  # each update learns from 8 worlds, of 64 steps each
EPOCHS, PARTS = 4, 4  # it passes over them 4 times, each time in 4 parts
LAMBDA = 0.95

# The agent
# ---------
# Two small networks: one says how likely each action is to be taken, the other what is still to be gained.


def network(key, outputs, scale):
    # The last layer of the actor begins near zero, so that at first all actions are about equally likely.
    layers = [(SIZE, 32, 1.0), (32, 32, 1.0), (32, outputs, scale)]
    return [
        (size * jax.random.normal(key, (rows, columns)) / rows**0.5, jnp.zeros(columns))
        for key, (rows, columns, size) in zip(jax.random.split(key, 3), layers, strict=True)
    ]


def apply(layers, x):
    for weights, bias in layers[:-1]:
        x = jnp.tanh(x @ weights + bias)
    weights, bias = layers[-1]
    return x @ weights + bias


def chances(agent, seen):  # the logarithms of the actions' probabilities
    return jax.nn.log_softmax(apply(agent["actor"], seen))


def value(agent, seen):
    return apply(agent["critic"], seen)[..., 0]


def optimiser(hparams):  # it remembers nothing of the learning rate, which may differ from step to step
    return optax.chain(optax.clip_by_global_norm(0.5), optax.adam(hparams["lr"], eps=1e-5))


def init(key, hparams):
    actor, critic, begin = jax.random.split(key, 3)
    agent = {"actor": network(actor, ACTIONS, 0.01), "critic": network(critic, 1, 1.0)}
    seen, worlds = jax.vmap(world.reset, (0, None))(jax.random.split(begin, WORLDS), constants)
    zeros = jnp.zeros(WORLDS)
    # "score" is the return of the episode under way in each world, "last" that of the last one that ended there.
    return {
        "agent": agent,
        "optimiser": optimiser(hparams).init(agent),
        "worlds": worlds,
        "seen": seen,
        "score": zeros,
        "last": zeros,
    }


# One update
# ----------
# First the agent plays. An episode that is cut off at 500 steps is no failure: what would have followed is estimated.
# So "ahead" is the value of the state that an action led to, and 0 only where the pole fell.


def play(agent, carry, key):
    worlds, seen, score, last = carry
    choose, move = jax.random.split(key)
    log_chances = chances(agent, seen)
    action = jax.random.categorical(choose, log_chances)
    keys = jax.random.split(move, WORLDS)
    after, worlds, reward, fell, cut, told = jax.vmap(world.step, (0, 0, 0, None))(keys, worlds, action, constants)
    ended = fell | cut
    score = score + reward
    row = {
        "seen": seen,
        "action": action,
        "log_chance": jnp.take_along_axis(log_chances, action[:, None], 1)[:, 0],
        "value": value(agent, seen),
        "reward": reward,
        "ahead": jnp.where(fell, 0.0, value(agent, told["final_observation"])),
        "ended": ended,
    }
    return (worlds, after, jnp.where(ended, 0.0, score), jnp.where(ended, score, last)), row


# Then each action is judged: by how much did it go better than expected? This is the sum of the surprises that followed
# it, each worth less the later it came.


def advantages(rows, discount):
    surprise = rows["reward"] + discount * rows["ahead"] - rows["value"]

    def back(later, row):
        surprise, ended = row
        now = surprise + discount * LAMBDA * jnp.where(ended, 0.0, later)
        return now, now

    return jax.lax.scan(back, jnp.zeros(WORLDS), (surprise, rows["ended"]), reverse=True)[1]


# Then the agent makes good actions likelier. Once an action's probability has changed by more than the clip, in the
# direction that its advantage asks for, there is nothing more to gain from it.


def loss(agent, hparams, rows):
    log_chances = chances(agent, rows["seen"])
    chosen = jnp.take_along_axis(log_chances, rows["action"][:, None], 1)[:, 0]
    ratio = jnp.exp(chosen - rows["log_chance"])
    near = jnp.clip(ratio, 1 - hparams["clip"], 1 + hparams["clip"])
    gain = rows["advantage"]
    gain = (gain - gain.mean()) / (gain.std() + 1e-8)
    policy_loss = -jnp.minimum(ratio * gain, near * gain).mean()
    value_loss = jnp.mean((value(agent, rows["seen"]) - rows["target"]) ** 2) / 2
    entropy = -jnp.sum(jnp.exp(log_chances) * log_chances, -1).mean()
    total = policy_loss + 0.5 * value_loss - hparams["entropy_cost"] * entropy
    return total, {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}


def step(state, hparams, key):
    agent = state["agent"]
    playing, learning = jax.random.split(key)
    carry = (state["worlds"], state["seen"], state["score"], state["last"])
    carry, rows = jax.lax.scan(partial(play, agent), carry, jax.random.split(playing, STEPS))
    rows["advantage"] = advantages(rows, 1 - 1 / hparams["horizon"])
    rows["target"] = rows["advantage"] + rows["value"]
    rows = jax.tree.map(lambda x: x.reshape(WORLDS * STEPS, *x.shape[2:]), rows)

    def learn(held, part):
        agent, memory = held
        slope, told = jax.grad(loss, has_aux=True)(agent, hparams, jax.tree.map(lambda x: x[part], rows))
        change, memory = optimiser(hparams).update(slope, memory, agent)
        return (optax.apply_updates(agent, change), memory), told

    orders = jax.vmap(lambda key: jax.random.permutation(key, WORLDS * STEPS))(jax.random.split(learning, EPOCHS))
    (agent, memory), told = jax.lax.scan(learn, (agent, state["optimiser"]), orders.reshape(EPOCHS * PARTS, -1))
    worlds, seen, score, last = carry
    state = {"agent": agent, "optimiser": memory, "worlds": worlds, "seen": seen, "score": score, "last": last}
    return state, {"return": last.mean(), **jax.tree.map(jnp.mean, told)}


# The population
# --------------
# A report is 5 updates, of 512 steps of the worlds each. Every 4 reports the worst quarter become clones of the best: a
# clone takes over networks, optimiser and the episodes under way. The discount is written as a horizon, in steps, since
# 0.9 and 0.99 are as far apart as 0.99 and 0.999.

SPACE = {
    "lr": ramet.loguniform(1e-6, 1e-1),  # as wide as of someone who knows nothing
    "entropy_cost": ramet.loguniform(1e-5, 1.0),
    "clip": ramet.loguniform(0.01, 1.0),
    "horizon": ramet.loguniform(2.0, 1000.0),
}
SOLVED = 475


def run(members, seed, reports=None, scheduler=None, folder=None, **changed):
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, hyperparam_mutations=SPACE, synch=True
    )
    tuner = ramet.Tuner(
        ramet.VectorTrainable(init, step, steps_per_report=5),
        param_space=changed.get("space", SPACE),
        tune_config=ramet.TuneConfig(
            metric="return", mode="max", num_samples=members, scheduler=scheduler or pbt, seed=seed
        ),
        run_config=ramet.RunConfig(
            name="vector_ppo",
            storage_path=folder,
            stop=changed.get("stop", {"training_iteration": reports}),
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),  # what can still be cloned is kept besides
            verbose=0,
        ),
    )
    return tuner.fit()


def show(arguments):
    members, reports = (8, 8) if arguments.smoke_test else (arguments.members, 40)
    results = run(members, arguments.seed, reports)
    best = results.get_best_result()
    solved = sum(result.metrics["return"] >= SOLVED for result in results)
    print(f"{solved} of {len(results)} agents hold the pole for {SOLVED} steps or more, the best one for")
    print(f"{best.metrics['return']:.1f}, after this schedule:\n{best.schedule.frame().to_string(index=False)}")
    paper.lineage(results).savefig(arguments.out / "vector_ppo.png")
    print(f"The picture is {arguments.out / 'vector_ppo.png'}")


# Is it worth it?
# ---------------
# The same founders with and without cloning, with twenty seeds. What counts is the best agent; the median is there for
# completeness: a population that replaces its worst members has, of course, fewer bad ones.


def compare(arguments):
    seeds, members, reports = (2, 4, 8) if arguments.smoke_test else (20, 8, 20)
    returns = np.empty((seeds, 2, members))
    for seed in range(seeds):
        for which, scheduler in enumerate((None, ramet.FIFO())):
            with tempfile.TemporaryDirectory() as folder:
                results = run(members, seed, reports, scheduler, folder)
                returns[seed, which] = [result.metrics["return"] for result in results]
        print(f"seed {seed}: the best agents reach {returns[seed].max(1)}")
    print(f"\nReturns after {reports * 5} updates of {members} agents, {seeds} seeds:")
    for what, values in (("best", returns.max(2)), ("median", np.median(returns, 2))):
        for name, row in zip(("PBT", "random search"), values.T, strict=True):
            told = (
                f"mean {row.mean():.1f}, sd {row.std(ddof=1):.1f}, interquartile mean {stats.trim_mean(row, 0.25):.1f}"
            )
            print(f"{what} agent, {name}: {told}")
        gain = values[:, 0] - values[:, 1]
        p = stats.wilcoxon(gain, zero_method="zsplit").pvalue
        print(f"{what} agent, PBT better {sum(gain > 0)}, worse {sum(gain < 0)} times; Wilcoxon's test: p = {p:.2g}")


# How long does it take?
# ----------------------
# With good constants and without cloning, so that each agent learns by itself. A run rule looks at every report, and
# ends the run when the median agent holds the pole.

GOOD = {"lr": 2.5e-3, "entropy_cost": 0.01, "clip": 0.2, "horizon": 100.0}


class MedianSolves(ramet.Stopper):
    def __init__(self):
        self.returns = {}

    def __call__(self, trial_id, result):
        self.returns[trial_id] = result["return"]
        return False

    def stop_all(self):
        return statistics.median(self.returns.values()) >= SOLVED


def seconds(members, seed, reports):
    """Return how long it took, how long without compiling, and how many updates."""
    start = time.perf_counter()
    stop = [MedianSolves(), ramet.MaximumIterationStopper(reports)]
    with tempfile.TemporaryDirectory() as folder:
        results = run(members, seed, None, ramet.FIFO(), folder, space=GOOD, stop=stop)
        whole = time.perf_counter() - start
        rows = results[0].metrics_dataframe  # the first report waits for the compiler, the others do not
    return whole, rows["time_this_iter_s"][1:].median() * len(rows), 5 * len(rows)


def solve(arguments):
    members, seeds, reports = (8, 1, 4) if arguments.smoke_test else (arguments.members, 5, 200)
    one = np.median([seconds(1, arguments.seed + other, reports) for other in range(seeds)], 0)
    many = seconds(members, arguments.seed, reports)
    for count, row in ((1, one), (members, many)):
        print(f"{count:4} at once: {row[0]:.1f} s, {row[1]:.2f} s without compiling, {row[2]:.0f} updates each")
    print(f"{members} take {many[0] / one[0]:.1f} times as long as one, without compiling {many[1] / one[1]:.1f} times")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=32, metavar="N", help="how many agents (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another population (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the picture")
    parser.add_argument("--compare", action="store_true", help="compare with random search")
    parser.add_argument("--solve", action="store_true", help="measure how long N agents take, and one")
    parser.add_argument("--smoke-test", action="store_true", help="few agents, and end early")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (compare if arguments.compare else solve if arguments.solve else show)(arguments)


if __name__ == "__main__":
    main()
