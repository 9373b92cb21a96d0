"""The figures as a table, and as the page of the documentation: a function of the JSON alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.figures import Figure
from benchmarks.parts import PARTS

HEAD = """# Benchmarks

What Ramet costs, mostly as a ratio to the same training code without any library, and what others cost. This page was
made by `{command}` in one run on one machine.
Run it to know what holds on yours.

| | |
|---|---|
| date | {date} |
| machine | {machine} |
| load average (1, 5, 15 minutes) before / after | {load} |
| versions | {versions} |

Each figure is a median, with the lowest and the highest value. Styles that are compared were run in turn, so that a
slow moment falls on all, and ratios are formed within each turn. A load that is high before the run, or a wide spread,
means that other programs were at work on the machine.
"""


def row(figure: Figure) -> str:
    """Return a figure as a line of a table."""
    target = "" if figure.target is None else figure.to_plain()["target"]["text"]
    met = {True: "yes", False: "**no**", None: ""}[figure.met]
    name = f"{figure.name} ({figure.note})" if figure.note else figure.name
    return f"| {name} | {figure.told()} | {figure.spread()} | {target} | {met} |"


def table(figures: Iterable[Figure]) -> str:
    """Return figures as a Markdown table."""
    return "\n".join(["| what | median | spread | target | met |", "|---|---|---|---|---|", *map(row, figures)])


def page(told: Mapping[str, Any], *others: Mapping[str, Any]) -> str:
    """Return the page for the JSON of a run of the suite, and of runs of parts that were made by themselves."""
    figures = [Figure.from_plain(plain) for plain in told["figures"]]
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    loads = _loads(told)
    text = [
        HEAD.format(command=told["command"], date=told["date"], machine=told["machine"], load=loads, versions=versions),
        "## Targets\n\n" + summary(figures),
    ]
    if told["skipped"]:
        missing = [f"* {PARTS[one['part']].TITLE}: {one['what']}, because {one['why']}." for one in told["skipped"]]
        text.append("Not measured:\n\n" + "\n".join(missing) + "\n")
    for name, part in PARTS.items():
        mine = [figure for figure in figures if figure.part == name]
        if mine:
            text.append(f"## {part.TITLE}\n\n{part.ABOUT}\n\n{table(mine)}\n")
    text += [_apart(other) for other in others]
    return "\n".join(text)


def _loads(told: Mapping[str, Any]) -> str:
    return " / ".join(", ".join(f"{value:.2f}" for value in values) for values in told["load"])


def _apart(told: Mapping[str, Any]) -> str:
    """Return the sections of parts that were measured in a run of their own."""
    figures = [Figure.from_plain(plain) for plain in told["figures"]]
    part = PARTS[figures[0].part]
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    made = (
        f"Made by `{told['command']}` on {told['date']}: {told['machine']}; {versions}; load average {_loads(told)} "
        "(before / after)."
    )
    missing = [f"Not measured: {one['what']}, because {one['why']}." for one in told["skipped"]]
    return (
        "\n\n".join([f"## {part.TITLE}", part.ABOUT, made, table(figures), summary(figures).strip(), *missing]) + "\n"
    )


def summary(figures: Iterable[Figure]) -> str:
    """Return which targets are met, and a line for each that is not."""
    aimed = [figure for figure in figures if figure.target is not None]
    missed = [figure for figure in aimed if not figure.met]
    lines = [f"{len(aimed) - len(missed)} of {len(aimed)} targets are met."]
    if missed:
        lines += ["", "Not met:", ""]
        lines += [
            f"* {PARTS[figure.part].TITLE}: {figure.name}: {figure.told()}, should be "
            f"{figure.to_plain()['target']['text']}."
            for figure in missed
        ]
    return "\n".join(lines) + "\n"
