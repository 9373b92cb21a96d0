"""For training functions on a Ray cluster whose members span several GPUs or nodes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ramet.errors import ConfigError

if TYPE_CHECKING:
    from ray.util.placement_group import PlacementGroup


def placement_group() -> PlacementGroup:
    """Return the placement group of the member that this training function trains.

    The function itself is in its first bundle. What it starts in the others, such as the ranks of a distributed
    training, goes by Ray's own means: ``PlacementGroupSchedulingStrategy(placement_group(), 1)``. The function's
    process connects to the cluster if it has not yet; end what you started when the function ends, in a ``finally``
    block.

    Raises:
        ConfigError: there is none: this is no training function under ``RayExecutor(bundles=[…])`` with more than one.
    """
    told = os.environ.get("RAMET_PLACEMENT_GROUP")
    if not told:
        raise ConfigError(
            "placement_group() is for training functions under RayExecutor(bundles=[…, …]): here is no placement group"
        )
    import ray
    from ray.util.placement_group import PlacementGroup

    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    return PlacementGroup(ray.PlacementGroupID(bytes.fromhex(told)))
