"""The plan of the house, read from the code: who may know whom, what is loaded when, what each room must say of itself.

Everything is read with `ast`, so nothing has to be run to know it; only what an import loads is seen in an interpreter
of its own.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import ramet

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"

PURE = ("ramet.nested", "ramet.domains", "ramet.space", "ramet.draws", "ramet.errors", "ramet.core", "ramet.strategy")
"""Rooms without I/O, clock, threads or global random state."""

IMPURE = {
    *("asyncio", "concurrent", "ctypes", "multiprocessing", "queue", "select", "selectors", "subprocess", "threading"),
    *(
        "glob",
        "io",
        "mmap",
        "os",
        "pathlib",
        "pickle",
        "shutil",
        "socket",
        "sqlite3",
        "tempfile",
        "urllib",
        "cloudpickle",
    ),
    *("datetime", "greenlet", "logging", "random", "resource", "secrets", "signal", "sys", "time", "uuid", "warnings"),
}
"""Modules that a pure room has no use for."""

ADAPTERS = ("ramet.compat", "ramet.integrations", "ramet.trackers")
RUNNING = ("ramet.tuner", "ramet.running", "ramet.loop", "ramet.resume", "ramet.settings", "ramet.signals")
DECIDING = ("ramet.strategy", "ramet.core.engine", "ramet.core.population", "ramet.store.ledger", "ramet.record")

MAY = {
    "ramet.errors": (),
    "ramet.draws": (),
    "ramet.nested": ("ramet.errors",),
    "ramet.domains": ("ramet.errors", "ramet.draws", "ramet.domains"),
    "ramet.space": ("ramet.errors", "ramet.draws", "ramet.nested", "ramet.domains", "ramet.space"),
    "ramet.core": ("ramet.errors", "ramet.draws", "ramet.domains", "ramet.space", "ramet.core"),
    "ramet.strategy": ("ramet.errors", "ramet.draws", "ramet.domains", "ramet.space", "ramet.core", "ramet.strategy"),
    "ramet.store": ("ramet.errors", "ramet.store"),
}
"""Rooms that may know no more of the project than this."""

NEVER = {
    "ramet.core": ("ramet.strategy",),
    "ramet.strategy": ("ramet.core.engine", "ramet.core.messages"),
    "ramet.executor": (*DECIDING, "ramet.core.scene", *RUNNING, "ramet.results", "ramet.view", "ramet.cli"),
    "ramet.session": (*DECIDING, *RUNNING, "ramet.results", "ramet.view", "ramet.cli"),
    "ramet.results": (*RUNNING, "ramet.executor"),
    "ramet.analysis": (*RUNNING, "ramet.executor"),
    "ramet.plots": (*RUNNING, "ramet.executor"),
    "ramet.fronts": (*RUNNING, "ramet.executor", "ramet.strategy"),
    "ramet.schedule": (*RUNNING, "ramet.executor"),
    "ramet.schedule_code": (*RUNNING, "ramet.executor"),
    "ramet.record": (*RUNNING, "ramet.executor", "ramet.results", "ramet.view"),
    "ramet.view": (*RUNNING, "ramet.executor"),
    "ramet.notebook": (*RUNNING, "ramet.executor"),
    "ramet.callbacks": (*RUNNING, "ramet.executor"),
}
"""Rooms that may know anything but this."""

VERBS = ("ramet.cli", "ramet.demo", "ramet.bench")
"""Command line verbs start runs: they may import the tuner, but only inside the function that is the verb."""

HEAVY = {
    "torch",
    "jax",
    "ray",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "plotly",
    "starlette",
    "uvicorn",
    "sse_starlette",
    "ipywidgets",
    "IPython",
    "pyarrow",
    "optax",
    "rich",
    "flask",
    "fastapi",
    "gymnasium",
    "fsspec",
    "s3fs",
    "gcsfs",
    "adlfs",
}
AT_HOME: dict[str, tuple[str, ...]] = {
    "torch": ("ramet.integrations", "ramet.executor.vector", "ramet.schedule_code"),
    "jax": ("ramet.integrations", "ramet.executor.vector", "ramet.schedule_code"),
    "ray": ("ramet.executor.ray", "ramet.integrations"),
    "pandas": ("ramet.framing", "ramet.analysis", "ramet.results", "ramet.schedule", "ramet.view", "ramet.compat"),
    "scipy": ("ramet.strategy",),
    "matplotlib": ("ramet.plots", "ramet.view", "ramet.cli", "ramet.demo", "ramet.bench"),
    "plotly": ("ramet.plots", "ramet.ui"),
    "starlette": ("ramet.ui",),
    "uvicorn": ("ramet.ui",),
    "ipywidgets": ("ramet.notebook",),
    "IPython": ("ramet.notebook",),
    "pyarrow": ("ramet.analysis",),
    "optax": ("ramet.analysis",),
    "rich": ("ramet.view", "ramet.cli", "ramet.demo", "ramet.bench"),
    "sklearn": ("ramet.problems",),
    "fsspec": ("ramet.store.packages",),
}
"""The only rooms that may import a heavy library, and inside a function even there."""

ADAPTS = {
    "ramet.view.screen": "rich",
    "ramet.view.table": "rich",
    "ramet.view.heading": "rich",
    "ramet.view.onlooker": "rich",
    "ramet.notebook.display": "rich",
    "ramet.notebook.scenery": "rich",
}
ADAPTS |= {"ramet.executor.vector.jax": "jax", "ramet.executor.vector.torch": "torch"}
ADAPTS |= {"ramet.executor.vector.philox": "torch"}
ADAPTS |= {"ramet.integrations.torch_random": "torch", "ramet.integrations.torch_optim": "torch"}
ADAPTS |= {f"ramet.executor.ray.{file}": "ray" for file in ("actor", "cluster", "couriers", "seat")}
ADAPTS |= {"ramet.ui.app": "starlette", "ramet.ui.server": "uvicorn"}
"""Files that are about one heavy library, and may import it at their top: they are themselves imported lazily."""

UNPICKLES = ("ramet.checkpoint", "ramet.trainable", "ramet.executor", "ramet.settings")
"""Where pickles are read: user code loads its own checkpoint, a worker is sent its function, a run is taken up by its
owner. No reader of runs does."""

BY_HAND = {
    "_or_global": "Domain.sample() at a prompt has no generator, and numpy.random.seed() does what one expects; a run "
    "always passes one",
}
"""Functions of pure rooms that may draw from a global generator, each with the reason."""

LONG: dict[str, str] = {}
"""Source files that may have more lines than the limit, each with the reason."""
LIMIT = 450

# With brackets, for this file is tracked too and must not match itself.
MACHINE = re.compile(r"/[w]ork/|/[r]oot/|/tmp/[s]tudio|[.][l]ibrary|[.][.]/[s]hared")


class Import(NamedTuple):
    """One imported module: where, whether under a function (lazy) or only for types."""

    target: str
    line: int
    lazy: bool
    typing: bool


@functools.cache
def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name."""
    found = {}
    for path in sorted((SRC / "ramet").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def tree(name: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def _types_only(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _walk(node: ast.AST, lazy: bool, typing: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        inside = lazy or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types = typing or (isinstance(child, ast.stmt) and _types_only(child))
        yield child, inside, types
        yield from _walk(child, inside, types)


@functools.cache
def imports(name: str) -> tuple[Import, ...]:
    """Return all that a module imports, at whatever depth; names are resolved to the module that they come from."""
    package = name if modules()[name].name == "__init__.py" else name.rpartition(".")[0]
    found = []
    for node, lazy, typing in _walk(tree(name), False, False):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                if base == "ramet" and deeper not in modules():
                    deeper = ramet._HOME.get(alias.name, base)
                targets.append(deeper if deeper in modules() else base)
        found += [Import(target, node.lineno, lazy, typing) for target in targets]
    return tuple(found)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    """Return whether the module ``name`` is one of ``rooms`` or in one."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def told(name: str, found: Import, rule: str) -> str:
    """Return where a rule is broken, as a line that an editor can jump to."""
    return f"{modules()[name].relative_to(ROOT)}:{found.line}: {name} imports {found.target}, {rule}"


def ours(name: str) -> list[Import]:
    """Return what a module imports of the project, types included: to name a type is to know it."""
    return [found for found in imports(name) if found.target.split(".")[0] == "ramet"]


# ---------------------------------------------------------------------- who may know whom


@pytest.mark.parametrize("room", MAY)
def test_a_strict_room_knows_only_the_rooms_below_it(room):
    """What is pure, and what is durable, imports nothing of the project but the rooms that its row allows."""
    wrong = [
        told(name, found, f"which {room} must not know")
        for name in modules()
        if within(name, (room,))
        for found in ours(name)
        if not within(found.target, MAY[room])
    ]
    assert wrong == []


@pytest.mark.parametrize("room", NEVER)
def test_a_room_never_imports_what_it_must_not_hear_of(room):
    """Executors never hear of decisions, and readers never of the tuner, not even lazily or for a type."""
    wrong = [
        told(name, found, f"of which {room} must never hear")
        for name in modules()
        if within(name, (room,))
        for found in ours(name)
        if within(found.target, NEVER[room])
    ]
    assert wrong == []


def test_nobody_imports_an_adapter():
    """What adapts Ray Tune, a framework or a tracker is imported by users, never by the house."""
    wrong = [
        told(name, found, "an adapter")
        for name in modules()
        if not within(name, (*ADAPTERS, *VERBS))
        for found in ours(name)
        if within(found.target, ADAPTERS)
    ]
    assert wrong == []


def test_only_the_loop_and_its_door_see_both_sides():
    """No module but the loop, and the tuner that sets it up, imports both what decides and what carries out."""
    sees = {
        name
        for name in modules()
        if name != "ramet"  # the table of public names; it loads nothing by itself
        if any(within(found.target, ("ramet.executor",)) for found in ours(name) if not found.typing)
        and any(within(found.target, ("ramet.core.engine", "ramet.record")) for found in ours(name) if not found.typing)
    }
    assert sees <= {"ramet.running", "ramet.loop"}


def test_a_command_line_verb_imports_the_tuner_only_when_it_runs():
    """Readers start without the tuner and the executors: verbs that start runs import them inside the verb."""
    wrong = [
        told(name, found, "at its top")
        for name in modules()
        if within(name, ("ramet.cli", "ramet.bench"))
        for found in ours(name)
        if within(found.target, (*RUNNING, "ramet.executor")) and not found.lazy
    ]
    assert wrong == []


def test_modules_import_each_other_without_a_cycle():
    """Following imports at the top of modules never leads back to where it began."""
    graph = {
        name: sorted({f.target for f in ours(name) if not f.lazy and not f.typing and f.target not in (name, "ramet")})
        for name in modules()
    }
    done: set[str] = set()

    def follow(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in graph.get(name, ()):
                follow(target, [*path, name])
            done.add(name)

    for name in graph:
        follow(name, [])


# ---------------------------------------------------------------------- purity


def test_a_pure_room_imports_nothing_that_does_things():
    """Space, core and strategies import no I/O, clock, thread, process, or global generator."""
    wrong = [
        told(name, found, "which is not pure")
        for name in modules()
        if within(name, PURE)
        for found in imports(name)
        if found.target.split(".")[0] in IMPURE
    ]
    assert wrong == []


def _impure(node: ast.AST) -> str | None:
    """Return what is wrong with a node in a pure room: a call that does I/O, or numpy's global generator."""
    match node:
        case ast.Call(func=ast.Name(id="print" | "open" | "input" | "eval" | "exec" | "__import__" as called)):
            return f"calls {called}"
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"), attr=drawn):
            named = ("Generator", "PCG64", "SeedSequence", "BitGenerator", "Philox")
            return None if drawn in named else f"uses numpy.random.{drawn}"
    return None


def test_a_pure_room_neither_prints_nor_opens_nor_draws_from_numpys_global_generator():
    """In pure rooms there is no call of print, open, input, eval or exec, and no numpy.random but named generators."""
    wrong = []
    for name in filter(lambda name: within(name, PURE), modules()):
        excused = {
            inner
            for node in ast.walk(tree(name))
            if isinstance(node, ast.FunctionDef) and node.name in BY_HAND
            for inner in ast.walk(node)
        }
        wrong += [
            f"{name}:{getattr(node, 'lineno', 0)}: {fault}"
            for node in ast.walk(tree(name))
            if node not in excused and (fault := _impure(node))
        ]
    assert wrong == []


def test_pickles_are_read_in_few_rooms():
    """Only user code's own checkpoints and the worker's own messages are unpickled; a reader of a run never does it."""
    wrong = [
        f"{name}:{node.lineno}: reads a pickle"
        for name in modules()
        if not within(name, UNPICKLES)
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute)
        and node.attr in ("load", "loads", "Unpickler")
        and isinstance(node.value, ast.Name)
        and node.value.id in ("pickle", "cloudpickle")
    ]
    assert wrong == []


# ---------------------------------------------------------------------- what an import loads


def test_heavy_libraries_are_imported_inside_functions_of_their_rooms():
    """torch, pandas, matplotlib and the like are imported lazily, and only where they are adapted or shown."""
    wrong = []
    for name in modules():
        for found in imports(name):
            library = found.target.split(".")[0]
            if library not in HEAVY or found.typing:
                continue
            if not found.lazy and ADAPTS.get(name) != library:
                wrong.append(told(name, found, "at its top: import it in the function that needs it"))
            if not within(name, AT_HOME.get(library, ())):
                wrong.append(told(name, found, f"which only {AT_HOME.get(library, ())} may"))
    assert wrong == []


def test_a_file_about_a_heavy_library_is_imported_lazily():
    """What imports a heavy library at its top is itself imported inside functions only, or by its like."""
    wrong = [
        told(name, found, "at its top")
        for name in modules()
        for found in ours(name)
        if found.target in ADAPTS and not found.lazy and not found.typing and name not in ADAPTS
    ]
    assert wrong == []


def loaded_by(statement: str) -> set[str]:
    """Return the modules that are loaded after ``statement`` in a fresh interpreter."""
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_importing_ramet_loads_next_to_nothing():
    """``import ramet`` loads neither numpy nor any heavy library, nor a room of its own."""
    loaded = loaded_by("import ramet")

    assert loaded & (HEAVY | {"numpy", "cloudpickle", "greenlet", "sqlite3", "multiprocessing"}) == set()
    assert {name for name in loaded if name.startswith("ramet.")} == set()


def test_a_worker_loads_no_heavy_library_and_nothing_that_decides():
    """What a worker process imports before user code is light, and holds no strategy, engine, ledger or tuner."""
    loaded = loaded_by("import ramet.executor.child, ramet.executor.worker")

    assert loaded & HEAVY == set()
    assert {name for name in loaded if within(name, (*DECIDING, *RUNNING, "ramet.results", "ramet.view"))} == set()


def test_setting_up_a_tuner_loads_no_heavy_library():
    """A script that builds its configuration has not waited for pandas, matplotlib or rich."""
    loaded = loaded_by("from ramet import Tuner, TuneConfig, RunConfig, uniform, PopulationBasedTraining")

    assert loaded & HEAVY == set()


# ---------------------------------------------------------------------- what each room says of itself


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_is(name):
    """Every module begins with a docstring."""
    assert ast.get_docstring(tree(name)), f"{modules()[name].relative_to(ROOT)} has no docstring"


@pytest.mark.parametrize("name", sorted(set(ramet.__all__) - {"__version__"}))
def test_a_public_name_is_documented(name):
    """Every public name can be loaded and has a docstring of its own."""
    value = getattr(ramet, name)
    text = value.__doc__ if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value) else "data"

    assert text
    assert not text.startswith(f"{name}("), "the docstring is dataclass's own"


def test_the_table_of_public_names_is_what_the_type_checker_sees():
    """The lazy table and the imports for type checkers at the top of the package name the same things."""
    seen = set()
    for node, _, typing in _walk(tree("ramet"), False, False):
        if typing and isinstance(node, ast.ImportFrom):
            seen |= {f"{node.module}.{alias.name}" for alias in node.names}

    assert seen == {f"{home}.{name}" for name, home in ramet._HOME.items()} | {"ramet.schedulers", "ramet.problems"}


def test_an_unknown_name_is_an_attribute_error():
    """A misspelt public name raises AttributeError, so that hasattr and star imports behave."""
    assert not hasattr(ramet, "Tunner")
    assert "Tuner" in dir(ramet)


@pytest.mark.parametrize("name", sorted(set(ramet.__all__) - {"__version__", *ramet._ROOMS}))
def test_a_public_name_knows_its_home(name):
    """A public name is defined in the room that the table gives, or re-exported there from one room below."""
    value = getattr(ramet, name)

    assert getattr(importlib.import_module(ramet._HOME[name]), name) is value


def test_no_name_is_a_vague_one():
    """Nothing is called Manager, Handler, Helper or Utils."""
    vague = re.compile(r"(Manager|Handler|Helper|Utils?)(s?)$")
    wrong = [
        f"{name}:{node.lineno}: class {node.name}"
        for name in modules()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.ClassDef) and vague.search(node.name)
    ]
    wrong += [name for name in modules() if re.search(r"(utils?|helpers?|misc|common)$", name)]
    assert wrong == []


def test_no_room_is_too_long_to_be_read():
    """No source file has more lines than the limit, but those that are listed with their reason."""
    wrong = {}
    for path in modules().values():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LIMIT and path.relative_to(SRC).as_posix() not in LONG:
            wrong[path.relative_to(SRC).as_posix()] = lines
    assert wrong == {}


def test_every_exception_to_the_limit_is_needed():
    """A file that has become short enough leaves the list of long ones."""
    assert [name for name in LONG if len((SRC / name).read_text(encoding="utf-8").splitlines()) <= LIMIT] == []


# ---------------------------------------------------------------------- the project stands alone


def tracked() -> list[Path]:
    """Return the project's own files: what git has or would take, or outside a checkout all that is not made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and (ROOT / ".git").exists():
        return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    made = re.compile(r"(^|/)(\.venv|\.git|__pycache__|\.[a-z]+_cache|\.hypothesis|build|dist|ramet_runs)(/|$)")
    return [path for path in ROOT.rglob("*") if path.is_file() and not made.search(path.relative_to(ROOT).as_posix())]


def test_no_file_names_a_path_of_a_machine():
    """The project stands alone: outside .ci no file names a folder of the machine that it was written on."""
    wrong = []
    for path in tracked():
        if path.relative_to(ROOT).parts[0] == ".ci":
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    assert wrong == []


def test_tests_say_which_property_they_check():
    """Every test has a docstring of one sentence, which states the property."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert wrong == []


STRATEGIES = sorted(
    {name for name in ramet.schedulers.__all__ if inspect.isclass(getattr(ramet.schedulers, name))}
    & {name for name in dir(ramet) if name[0].isupper()} - {"Strategy"}
)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_says_where_it_comes_from(name):
    """A strategy's docstring has its source, and where it differs from that, or that it is ours alone."""
    text = " ".join(inspect.getdoc(getattr(ramet, name)).split())
    if name not in ("FIFO", "RandomSearch", "NoExploit", "PB2Mix", "ScheduleReplay"):
        assert re.search(r"Source: .*(Differs? from|ours, and unpublished)", text), name
    else:
        assert "Source: " in text or name == "FIFO"
    assert "Raises:" in text or name in ("FIFO", "RandomSearch", "NoExploit", "PB2Mix")
