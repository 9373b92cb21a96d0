"""What is said of actors that are lost or cannot begin, and of what nodes have."""

from __future__ import annotations

from collections.abc import Mapping

SAID_BY_US = r"A worker died or was killed|node with node id|\[state-dump\]|cannot be scheduled right now"
"""What Ray is not to print: the run tells of it itself."""

HOPELESS = "it cannot begin"

LOW = (
    "Ray ended it, because its node was low on memory: let fewer members share a node, or say what one needs, as in "
    "RayExecutor(resources={'cpu': 1, 'memory': 4e9})"
)

HINT = (
    "\nEvery node needs the same Python with ramet, and the modules that the function imports: install them there, or "
    "give RayExecutor(runtime_env={'working_dir': '.', 'pip': […]})"
)


def why_lost(error: Exception) -> str:
    """Return what Ray says of a lost actor, in a line: its messages begin with pages of identifiers."""
    if is_memory(error):
        return LOW
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "RuntimeEnvSetup" in type(error).__name__ or any("creation task" in line for line in lines[:1]):
        return f"{HOPELESS}: {' '.join(lines[1:] or lines)[-600:]}"
    dead = "The actor is dead because "
    for line in lines:
        if line.startswith(dead):
            return line.removeprefix(dead).partition(" Some common causes")[0][:300]
    if "Unavailable" in type(error).__name__:
        return "it cannot be reached any more; its node may be gone"
    return (lines[-1:] or [type(error).__name__])[0][:300]


def is_memory(error: Exception | None) -> bool:
    """Whether Ray ended it to save its node from running out of memory, which would happen again."""
    return error is not None and ("OutOfMemory" in type(error).__name__ or "low on memory" in str(error))


def shown(resources: Mapping[str, float]) -> str:
    """Return what a node has, in words."""
    own = {name: amount for name, amount in resources.items() if not name.startswith(("node:", "object_store"))}
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(own.items())) or "nothing"
