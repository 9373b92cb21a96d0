"""Train a population of agents at once with proximal policy optimisation (PPO), as rows of one JAX program.

    python vector_ppo.py [--members N] [--seed N] [--out DIR] [--smoke-test]
    python vector_ppo.py --compare    # 20 seeds of PBT against random search, which takes some minutes
    python vector_ppo.py --solve      # seconds until the median member balances the pole, against one agent alone

Each agent learns to balance a pole on a cart in 16 worlds of its own. PPO is written here from its paper (Schulman et al.
2017, Proximal Policy Optimization Algorithms, https://arxiv.org/abs/1707.06347), with advantages as in Schulman et al.
2016 (High-Dimensional Continuous Control Using Generalized Advantage Estimation, https://arxiv.org/abs/1506.02438).
Nobody knows beforehand how fast it should learn, how far it should look ahead, how much it should explore, and how far it
may go from the policy that gathered the data: the population finds out.

It takes ``pip install ramet[plot] jax optax gymnax six``.
"""

from functools import partial

import gymnax
import jax
import jax.numpy as jnp
import optax

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
    sizes = [(SIZE, 32, 2**0.5), (32, 32, 2**0.5), (32, outputs, scale)]
    orthogonal = jax.nn.initializers.orthogonal
    return [
        (orthogonal(scale)(key, (rows, columns)), jnp.zeros(columns))
        for key, (rows, columns, scale) in zip(jax.random.split(key, 3), sizes, strict=True)
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
# First the agent plays. An episode that was cut off at 500 steps is no failure: what would have followed is estimated from
# where it was, so "ahead" is the value of the state that an action led to, which is 0 where the pole fell.


def play(agent, hparams, carry, key):
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
    carry, rows = jax.lax.scan(partial(play, agent, hparams), carry, jax.random.split(playing, STEPS))
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
