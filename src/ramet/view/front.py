"""What a run that was after several objectives says of its front."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ramet.core.pareto import front, hypervolume
from ramet.core.population import Member, Population
from ramet.core.scores import signed
from ramet.view.values import number, shown


def told(population: Population) -> str | None:
    """Return the front in a sentence; None where the run was scored by one metric alone."""
    wanted: Mapping[str, str] = population.facts.get("objectives") or {}
    if len(wanted) < 2 or population.facts.get("metric") not in wanted:
        return None
    vectors = [_latest(population, member, wanted) for member in population.members]
    best = front(vectors)
    names = " and ".join(shown(name, 40) for name in wanted)
    said = f"{len(best):,} of {len(vectors):,} members, which no other beats in {names} at once"
    reference = (population.facts.get("strategy") or {}).get("reference")
    if best and reference and reference.keys() == wanted.keys():
        volume = hypervolume(vectors, [signed(reference[name], mode) for name, mode in wanted.items()])
        corner = ", ".join(f"{shown(name, 40)} {number(reference[name])}" for name in wanted)
        said += f"; hypervolume {number(volume)} beyond {corner}"
    return said


def _latest(population: Population, member: Member, wanted: Mapping[str, str]) -> tuple[float, ...]:
    """Return what the member's model was reported to reach, larger better; that of its donor if it has not trained."""
    nothing = (math.nan,) * len(wanted)
    if member.segment < 0:
        return nothing
    segment = population.current(member.number)
    if segment.parent is not None and segment.last == segment.start:
        return (member.point.objectives if member.point is not None else ()) or nothing
    if not member.compute:
        return nothing
    known = {"training_iteration": segment.last, "compute_iterations": member.compute, **member.metrics}
    if "time_total_s" in wanted and member.point is not None:
        known.setdefault("time_total_s", member.point.elapsed)
    values = ((known.get(name), mode) for name, mode in wanted.items())
    return tuple(signed(value, mode) if isinstance(value, (int, float)) else math.nan for value, mode in values)
