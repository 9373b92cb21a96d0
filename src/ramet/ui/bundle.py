"""The page's files put into one: its modules become one script, each still with names of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ramet.errors import RametError

_IMPORT = re.compile(r"""^import\s*\{([^}]*)\}\s*from\s*["']\./([\w.-]+)["'];?[ \t]*$""", re.MULTILINE)
_EXPORT = re.compile(r"^export\s+((?:async\s+)?function\*?|const|let|class)\s+([A-Za-z_$][\w$]*)", re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import|export)\b.*$", re.MULTILINE)


def bundled(modules: Mapping[str, str], first: str) -> str:
    """Return ``modules`` (name -> source), of which ``first`` is the one that the page loads, as one script.

    Each becomes a function that is called after those that it imports from, and returns what it exports.

    Raises:
        RametError: they import each other in a circle, or in a way that this does not know.
    """
    done: dict[str, str] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise RametError(f"the page's modules import each other in a circle: {' -> '.join([*above, name])}")
        if name in done:
            return
        if name not in modules:
            raise RametError(f"{above[-1] if above else 'the page'} loads {name}, which is not among its files")
        for _, wanted in _IMPORT.findall(modules[name]):
            add(wanted, (*above, name))
        done[name] = _wrapped(name, modules[name])

    add(first, ())
    return '"use strict";\nconst modules = {};\n' + "\n".join(done.values())


def _wrapped(name: str, source: str) -> str:
    exported = [told for _, told in _EXPORT.findall(source)]
    body = _IMPORT.sub(lambda found: f"const {{{_renamed(found[1])}}} = modules[{found[2]!r}];", source)
    body = _EXPORT.sub(r"\1 \2", body)
    left = _LEFT.search(body)
    if left is not None:
        raise RametError(f"{name} of the page imports or exports in a way that a report cannot: {left[0].strip():.80}")
    return f"modules[{name!r}] = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }};\n}})();"


def _renamed(names: str) -> str:
    """Return what stands between the braces of an import as those of a declaration take it."""
    return re.sub(r"\bas\b", ":", names)
