"""Runs made by a stranger, every checksum right and every word a lie: reading, drawing and mending them is safe."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import shutil
import sqlite3
import stat
import traceback
import zipfile
from pathlib import Path
from typing import Any

import pytest
import wreck
from test_fuzz import at_most, rows

import ramet
from ramet import fsck
from ramet.aside import OBJECTS
from ramet.checkpoint import Checkpoint
from ramet.cli import main
from ramet.core.messages import StoredCheckpoint
from ramet.errors import RametError
from ramet.record import CHECKPOINTS
from ramet.settings import NAME as SETTINGS
from ramet.store.ledger import CheckpointRow, EventRow, Ledger, ReportRow, Transaction
from ramet.store.manifest import MANIFEST

PATIENCE = 60
SHORT, LONG = 60, 1500
"""How many lies are told of the thousands that there are."""

ESCAPE = "\x1b[31mred\x1b]0;title\x07\r\x08\x9b2J"
LARGE = 130 * 1024


def train(config):
    """A walk: even members save dicts, odd ones directories, the last one fails."""
    checkpoint = ramet.get_checkpoint()
    step = json.loads(Path(checkpoint.path, "step").read_text()) if checkpoint else 0
    member = ramet.get_context().member
    while True:
        step += 1
        if member == 3 and step == 5:
            raise ValueError("broken")
        directory = Path(ramet.checkpoint_dir())
        (directory / "step").write_text(str(step))
        if member == 1 and step == 6:
            (directory / "w").write_bytes(bytes(LARGE))
        saved = ramet.Checkpoint.from_directory(directory) if step % 2 == 0 else None
        ramet.report({"score": config["lr"] * step, "note": "word"}, checkpoint=saved)


@pytest.fixture(scope="module")
def honest(tmp_path_factory) -> Path:
    """The folder of an honest run, which holds every kind of event that a lie can be made of."""
    place = tmp_path_factory.mktemp("honest")
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"lr": ramet.loguniform(0.1, 1.0), "kind": ramet.choice(["a", "b"])},
        synch=True,
    )
    ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "kind": "a", "pair": (1, 2)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, seed=2, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=place,
            stop={"training_iteration": 6},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=2),
            executor="inline",
            verbose=0,
        ),
    ).fit()
    ramet.Tuner.restore(place / "run", train, stop={"training_iteration": 8}).fit()
    return place / "run"


class Forger:
    """Makes runs of the entries of an honest one."""

    def __init__(self, honest: Path) -> None:
        self.honest = honest
        with contextlib.closing(Ledger.open(honest)) as ledger:
            self.happened = list(ledger.happened())
            names = [(row.segment, row.iteration) for row in ledger.checkpoints()]
            self.checkpoints = [ledger.checkpoint(*name) for name in names]
            self.meta = ledger.meta()

    def forged(self, folder: Path, happened: list[Any] | None = None, checkpoints: list[Any] | None = None) -> Path:
        """Write a run in which all checksums are right, and return its folder."""
        shutil.copytree(self.honest, folder, ignore=shutil.ignore_patterns("run.db*"))
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        meta = {key: value for key, value in self.meta.items() if key != "format"}
        with contextlib.closing(Ledger.create(folder, meta)) as ledger:
            transaction = Transaction(checkpoints=self.checkpoints if checkpoints is None else checkpoints)
            for row in self.happened if happened is None else happened:
                transaction.happened.append(row)
                if row.ends:
                    ledger.commit(transaction)
                    transaction = Transaction()
            ledger.commit(transaction)
        return folder

    def events(self) -> dict[str, list[int]]:
        """Return where the events of each kind are; some are made up where none happened."""
        found: dict[str, list[int]] = {}
        for at, row in enumerate(self.happened):
            if isinstance(row, EventRow):
                found.setdefault(row.kind, []).append(at)
        return found


@pytest.fixture(scope="module")
def forger(honest) -> Forger:
    """Makes runs of the honest one's entries."""
    return Forger(honest)


def contents(folder: Path) -> dict[str, Any]:
    """Return all that lies below a folder, no link followed; SQLite's own files beside a ledger do not count."""
    found: dict[str, Any] = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(at, name)
            if not name.endswith(("-shm", "-wal")):
                told = path.lstat()
                regular = stat.S_ISREG(told.st_mode)
                found[str(path.relative_to(folder))] = (told.st_mode, path.read_bytes() if regular else None)
    return found


def said(*words: str) -> str:
    """Return what the command ``ramet`` writes to the terminal. It never ends in a traceback."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        assert main(list(words)) in (0, 1)
    text = out.getvalue()
    assert all(letter.isprintable() or letter == "\n" for letter in text), repr(text)
    return text


def read(folder: Path, *, pictures: bool = False) -> None:
    """Read all that can be read. Only RametErrors come out."""
    said("show", str(folder))
    said("check", str(folder))
    assert ramet.Tuner.can_restore(folder) in (True, False)
    with contextlib.suppress(RametError):
        fsck.check(folder)
    try:
        grid = ramet.ResultGrid(folder)
    except RametError:
        return
    reads: list[Any] = [
        lambda: list(rows(grid)),
        grid.get_dataframe,
        lambda: grid.get_dataframe("score", "max"),
        lambda: grid.get_best_result(scope="all").metrics,
        lambda: grid.get_best_result(scope="avg").metrics,
        lambda: (grid.errors, grid.num_terminated, repr(grid)),
        lambda: [content(grid.checkpoint(name)) for name in sorted(grid.kept())],
        *(lambda result=result: (result.metrics, result.lineage, result.schedule.frame()) for result in grid),
        *(lambda result=result: (repr(result), result.metrics_dataframe) for result in grid),
        *(lambda result=result: result.lineage_dataframe for result in grid),
        *(lambda result=result: result.best_checkpoints for result in grid),
    ]
    if pictures:
        reads += [lambda name=name: drawn(grid, name) for name in PICTURES]
    for each in reads:
        with contextlib.suppress(RametError):
            each()


PICTURES = ("lineage_tree", "schedules", "score_history")


def drawn(grid: ramet.ResultGrid, name: str) -> None:
    """Draw a picture, as far as it would be saved."""
    pytest.importorskip("matplotlib")
    import matplotlib.pyplot as plt

    from ramet.view import plots

    backend = plt.get_backend()
    plt.switch_backend("agg")
    try:
        getattr(plots, name)(grid)
        plt.gcf().canvas.draw()
        for text in plt.gcf().findobj(lambda each: hasattr(each, "get_text")):
            assert all(letter.isprintable() or letter == "\n" for letter in text.get_text())
    finally:
        plt.close("all")
        plt.switch_backend(backend)


def content(checkpoint: Checkpoint) -> None:
    """Read a checkpoint's files; a dict would be unpickled, which only its user may ask for."""
    with contextlib.suppress(RametError), checkpoint.as_directory() as directory:
        for path in Path(directory).rglob("*"):
            assert not path.is_symlink()
            if path.is_file():
                path.read_bytes()


def is_safe(folder: Path, *, pictures: bool = False) -> None:
    """Reading changes nothing, mending changes nothing outside, and both come to an end."""
    place = folder.parent
    (place / "outside" / "deep").mkdir(parents=True, exist_ok=True)
    (place / "outside" / "secret").write_text("secret")
    before = contents(place)
    with at_most(PATIENCE):
        read(folder, pictures=pictures)
    assert contents(place) == before, "reading left something, or took it away"
    with at_most(PATIENCE):
        said("check", "--repair", str(folder))
        said("show", str(folder))
    outside = {name: found for name, found in contents(place).items() if not name.startswith(folder.name)}
    assert outside == {name: found for name, found in before.items() if not name.startswith(folder.name)}


# ---------------------------------------------------------------------- events


def nested(deep: int, inner: str = "1") -> str:
    """Return JSON that is nested."""
    return "[" * deep + inner + "]" * deep


LIES: list[str] = [
    *("null", "true", "-1", "0", "7", "1.5", "-0.0", "1e999", "NaN", '""', "[]", "{}", "[[]]", "[1]", "[-1]"),
    *(str(10**9), str(2**63), str(-(2**63)), str(10**400), "1" * 5000, "9007199254740993.5"),
    *(json.dumps(text) for text in ("x", "../../outside", "/etc", "\0", ESCAPE, "\ud800", "$\\frac{", "x" * 100_000)),
    *('{"a":1}', '{"$tuple":3}', '{"$tuple":[1]}', '{"$tuple":{"$tuple":[]}}', '{"$object":0}', '{"$object":-1}'),
    *('{"$object":"x","repr":{"$tuple":3}}', json.dumps({"$object": 10**30, "repr": ESCAPE}), '{"$other":1}'),
    *(json.dumps({ESCAPE: ESCAPE}), '{"":{"":{}}}', '{"a/b":1,"a":{"b":2}}', '{"lr":[{"lr":null}]}'),
    *(nested(900), nested(100_000), '{"a":' * 500 + "1" + "}" * 500, '{"$tuple":[' * 300 + "1" + "]}" * 300),
]
"""What stands in the place of every value, as it stands in the ledger."""


def places(forger: Forger) -> list[tuple[int, tuple[str, ...]]]:
    """Return where lies can stand: an entry of each kind, and the way to each value in it, some steps deep."""
    found: list[tuple[int, tuple[str, ...]]] = []
    for ats in forger.events().values():
        at = ats[len(ats) // 2]
        data = json.loads(forger.happened[at].data)
        for name, value in data.items():
            found.append((at, (name,)))
            if isinstance(value, dict):
                found += [(at, (name, inner)) for inner in value]
                found += [
                    (at, (name, inner, deep))
                    for inner, each in value.items()
                    if isinstance(each, dict)
                    for deep in each
                ]
    return found


def lied(row: EventRow, way: tuple[str, ...], lie: str) -> EventRow:
    """Return the entry with the lie in place of the value at the end of the way."""
    data = json.loads(row.data)
    inner = data
    for name in way[:-1]:
        inner = inner[name]
    inner[way[-1]] = "HERE"
    return row._replace(data=json.dumps(data).replace('"HERE"', lie))


def test_no_lie_in_an_event_does_harm(forger, place, long, count):
    """Whatever stands in any field of any event, only RametErrors come out of reading, and nothing else happens."""
    assert {"Began", "Opened", "Kept", "Decided", "Failed", "Finished", "Resumed", "Ended"} <= set(forger.events())
    cases = [(at, way, lie) for at, way in places(forger) for lie in LIES]
    cases = random.Random(5).sample(cases, LONG if long else SHORT)
    failed = []
    for number, (at, way, lie) in enumerate(cases):
        here = place / str(number)
        happened = list(forger.happened)
        happened[at] = lied(happened[at], way, lie)
        try:
            is_safe(forger.forged(here / "run", happened), pictures=number % 25 == 0)
        except Exception as error:
            told = "".join(traceback.format_exception(error, limit=-5))[-2500:]
            failed.append(f"{happened[at].kind} {'/'.join(way)} = {lie[:60]}: {told}")
        count["strangers: lies in events"] += 1
        shutil.rmtree(here)
    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed[:12])


@pytest.mark.parametrize("field", ["first", "last", "rows", "elapsed", "at", "segment"])
def test_no_lie_in_a_report_does_harm(forger, place, long, field, count):
    """Nor does any in a report."""
    at = next(at for at, row in enumerate(forger.happened) if isinstance(row, ReportRow))
    row = forger.happened[at]
    texts = [
        *LIES,
        *(json.dumps({"columns": ["score"], "rows": [[1.0]] * row.last}).replace("1.0", lie) for lie in LIES),
    ]
    texts += [
        json.dumps({"columns": columns, "rows": [[1.0]] * row.last}) for columns in ([ESCAPE], [1], "s", [[]], {})
    ]
    texts += ["[" + ",".join([lie] * row.last) + "]" for lie in LIES if len(lie) < 10_000]
    values: dict[str, list[Any]] = {
        "rows": texts,
        "elapsed": texts,
        "at": [0.0, -1.0, 1e308, float("inf"), float("-inf"), -1e308],
    }
    lies = values.get(field, [0, -1, 3, 10**9, 2**63 - 1, -(2**63)])
    for number, lie in enumerate(lies if long or len(lies) < 20 else random.Random(3).sample(lies, 20)):
        here = place / str(number)
        happened = list(forger.happened)
        happened[at] = row._replace(**{field: lie})
        is_safe(forger.forged(here / "run", happened), pictures=number == 2)
        count["strangers: lies in reports"] += 1
        shutil.rmtree(here)


def event(name: str, **fields: Any) -> EventRow:
    """Return an event by itself, a transaction of its own."""
    return EventRow(name, fields.get("segment"), json.dumps(fields), 1)


STORIES: dict[str, list[Any]] = {
    "nothing": [],
    "no beginning": [event("Ended", reason="x")],
    "two beginnings": [event("Began", seed=0, members=1, facts={})] * 2,
    "a beginning alone": [event("Began", seed=0, members=1, facts={})],
    "a thousand million members": [event("Began", seed=0, members=10**9, facts={})],
    "a thousand million more": [
        event("Began", seed=0, members=1, facts={}),
        event("Resumed", members=10**9, again=[], facts={}, rules=False, at=0.0),
    ],
    "members that come back": [
        event("Began", seed=0, members=1, facts={}),
        event("Resumed", members=1, again=[0, 0, 0, 5], facts={}, rules=False, at=0.0),
    ],
    "a circle": [
        event("Began", seed=0, members=1, facts={}),
        event("Opened", segment=0, member=0, parent=0, iteration=0, hparams={}, info={}),
    ],
    "an unknown event": [event("Began", seed=0, members=1, facts={}), event("Exploded")],
    "an event with more": [event("Began", seed=0, members=1, facts={}, more=1)],
    "names that are escapes": [
        event("Began", seed=0, members=1, facts={"metric": ESCAPE, "mode": "max", "mutable": {ESCAPE: {}}}),
        event("Opened", segment=0, member=0, parent=None, iteration=0, hparams={ESCAPE: ESCAPE}, info={}),
        ReportRow(0, 1, 1, json.dumps({"columns": [ESCAPE], "rows": [[1.0]]}), "[1.0]", 1.0, 1),
        event("Noted", kind=ESCAPE, text=ESCAPE),
        event("Failed", segment=0, error=f"Traceback\n{ESCAPE}\n{ESCAPE}: {ESCAPE}", final=True),
        event("Ended", reason=ESCAPE),
    ],
    "names that are formulas": [
        event("Began", seed=0, members=1, facts={"metric": "$\\frac{$", "mode": "max", "mutable": {"$x_{$": {}}}),
        event("Opened", segment=0, member=0, parent=None, iteration=0, hparams={"$x_{$": "$\\b$"}, info={}),
        ReportRow(0, 1, 1, json.dumps({"columns": ["$\\frac{$"], "rows": [[1.0]]}), "[1.0]", 1.0, 1),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_no_story_that_is_made_up_does_harm(forger, place, name):
    """Events that are each well formed and make no sense together are an error, or a strange run."""
    is_safe(forger.forged(place / "run", STORIES[name], []), pictures=True)


def test_a_number_that_is_made_up_makes_no_room_for_members(forger, place):
    """A single entry with a huge number of its own does not vouch for a thousand million members."""
    folder = forger.forged(place / "run", STORIES["a thousand million members"], [])
    from ramet.store.rows import event_crc

    data = json.dumps({"kind": "x", "text": "y"})
    with contextlib.closing(sqlite3.connect(folder / "run.db")) as db:
        seq = 2**62
        db.execute(
            "UPDATE events SET ends = 0, crc = ?",
            (event_crc(1, "Began", None, STORIES["a thousand million members"][0].data, 0),),
        )
        db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            (seq, "Noted", None, data, 3, event_crc(seq, "Noted", None, data, 3)),
        )
        db.commit()
    is_safe(folder)


# ---------------------------------------------------------------------- checkpoints


def archive(*members: tuple[str, bytes], **more: Any) -> bytes:
    """Return a zip archive with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", more.get("method", zipfile.ZIP_STORED)) as made:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = more.get("mode", 0o644) << 16
            made.writestr(info, data, more.get("method", zipfile.ZIP_STORED))
    return buffer.getvalue()


def small(data: bytes, kind: str = "zip", **more: Any) -> CheckpointRow:
    """Return a checkpoint that lies in the ledger."""
    return CheckpointRow(*more.get("name", (0, 2)), kind, more.get("size", len(data)), data, None)


BOMB = archive(("bomb", bytes(200 * 2**20)), method=zipfile.ZIP_DEFLATED)

SMALL = {
    "a bomb": small(BOMB),
    "a bomb that says less": small(BOMB.replace((200 * 2**20).to_bytes(4, "little"), (100).to_bytes(4, "little"))),
    "one that leads out": small(archive(("../../outside/secret", b"x"))),
    "one that is absolute": small(archive(("/tmp/ramet-was-here", b"x"))),
    "one with a link": small(archive(("link", b"../../outside"), ("link/secret", b"x"), mode=stat.S_IFLNK | 0o777)),
    "one that is a file and a folder": small(archive(("a", b"x"), ("a/b", b"x"))),
    "one with two of a name": small(archive(("a", b"x"), ("b", b"y")).replace(b"b", b"a")),
    "one with the manifest's name": small(archive((MANIFEST, b"x"))),
    "one with backslashes": small(archive(("..\\outside", b"x"))),
    "one with an escape": small(archive((ESCAPE, b"x"))),
    "a set-uid program": small(archive(("program", b"x"), mode=0o104777)),
    "nothing": small(b""),
    "no archive": small(b"PK\x05\x06" + b"\xff" * 40),
    "an unknown kind": small(b"x", "program"),
    "a kind with an escape": small(b"x", ESCAPE),
    "a directory in bytes": small(b"x", "directory"),
    "a negative size": small(b"x", size=-1),
    "a huge size": small(b"x", size=2**62),
    "a strange name": small(b"x", name=(-1, -(2**60))),
}


@pytest.mark.parametrize("name", SMALL)
def test_no_small_checkpoint_does_harm(forger, place, name):
    """It is what was saved, or an error, and writes nowhere else than where it is asked to be written."""
    row = SMALL[name]
    kept = [each for each in forger.checkpoints if each[:2] != row[:2]]
    folder = forger.forged(place / "run", None, [*kept, row])
    is_safe(folder)
    with contextlib.suppress(RametError):
        Checkpoint(stored=StoredCheckpoint(row.kind, row.data, None, row.size)).to_directory(place / "out")
    for path in (place / "out").rglob("*"):
        assert not path.is_symlink()
        assert path.stat().st_mode & 0o7000 == 0
    assert (place / "outside" / "secret").read_text() == "secret"
    assert not os.path.lexists("/tmp/ramet-was-here")


LARGE_NAMES = (
    "../outside",
    "../outside/",
    "..",
    ".",
    "",
    "a/b",
    "/etc",
    "\0",
    ESCAPE,
    "x" * 5000,
    "link",
    "checkpoints",
)


@pytest.mark.parametrize("name", LARGE_NAMES, ids=range(len(LARGE_NAMES)))
def test_no_name_of_a_large_checkpoint_leads_elsewhere(forger, place, name):
    """Nothing outside the run's folder is read as a checkpoint or deleted as one."""
    kept = [each for each in forger.checkpoints if each.path is None]
    row = CheckpointRow(1, 6, "directory", 6, None, name)
    folder = forger.forged(place / "run", None, [*(each for each in kept if each[:2] != (1, 6)), row])
    outside = place / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (outside / MANIFEST).write_text(json.dumps({"format": 1, "files": {"secret": 6}}))
    (folder / CHECKPOINTS / "link").symlink_to(outside)
    is_safe(folder)
    assert (outside / "secret").exists()


def test_a_folder_of_checkpoints_that_is_elsewhere_is_not_swept(forger, place):
    """Where ``checkpoints`` itself is a link, what is no checkpoint there stays."""
    folder = forger.forged(place / "run")
    shutil.rmtree(folder / CHECKPOINTS)
    (place / "outside").mkdir()
    (folder / CHECKPOINTS).symlink_to(place / "outside")
    is_safe(folder)


STRANGE = {
    "a pipe": lambda path: os.mkfifo(path),
    "a link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe")),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a folder": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a file of holes": lambda path: (path.touch(), os.truncate(path, 2**40)),
}


@pytest.mark.parametrize("name", [SETTINGS, OBJECTS, "run.lock", f"{CHECKPOINTS}/{MANIFEST}", CHECKPOINTS])
@pytest.mark.parametrize("how", STRANGE)
def test_what_is_no_file_is_not_waited_for(forger, place, name, how):
    """A pipe, a device or a file without end in the place of any file of a run stops nobody."""
    folder = forger.forged(place / "run")
    path = folder / name
    if name == CHECKPOINTS:
        shutil.rmtree(path)
    path.unlink(missing_ok=True) if not path.is_dir() else None
    STRANGE[how](path)
    place.joinpath("outside").mkdir()
    with at_most(PATIENCE):
        read_only = fsck_and_show(folder)
    assert read_only


def fsck_and_show(folder: Path) -> bool:
    """Show and check a run, and mend it."""
    said("show", str(folder))
    said("check", str(folder))
    said("check", "--repair", str(folder))
    return True


# ---------------------------------------------------------------------- programs in the place of data


class Acts:
    """What acts when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> Any:
        return (Path.touch, (self.flag,))


@pytest.mark.parametrize("wrapped", [False, True])
def test_readers_never_unpickle(forger, place, wrapped):
    """What would act when it is loaded lies in every file and every checkpoint, and nothing of it acts."""
    flag = place / "flag"
    evil = pickle.dumps(Acts(flag))
    if wrapped:
        evil = pickle.dumps({"param_space": evil, "scheduler": evil, "callbacks": evil})
    rows = [each._replace(kind="pickle", data=evil, size=len(evil), path=None) for each in forger.checkpoints]
    folder = forger.forged(place / "run", None, rows)
    (folder / SETTINGS).write_bytes(evil)
    (folder / OBJECTS).write_bytes(pickle.dumps([evil]) if wrapped else evil)
    for each in (folder / CHECKPOINTS).iterdir():
        (each / "dict_checkpoint.pkl").write_bytes(evil)
    is_safe(folder, pictures=True)
    assert not flag.exists()


SQL = {
    "a view without end": (
        "ALTER TABLE events RENAME TO old; CREATE VIEW events AS WITH RECURSIVE n(seq) AS "
        "(SELECT 1 UNION ALL SELECT seq + 1 FROM n) SELECT seq, 'a' kind, 0 segment, '{}' data, 0 ends, 0 crc FROM n"
    ),
    "meta without end": (
        "ALTER TABLE meta RENAME TO old; CREATE VIEW meta AS WITH RECURSIVE n(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'format' || max(x) key, '2' value FROM n"
    ),
    "meta of views": (
        "ALTER TABLE meta RENAME TO old; CREATE VIEW meta AS WITH RECURSIVE n(x) AS "
        "(SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000000000) SELECT 'format' key, count(*) value FROM n"
    ),
    "a trigger on our writes": "CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM checkpoints; END",
    "a trigger on meta": "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN DELETE FROM events; END",
    "a check that takes its time": (
        "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = replace(sql, 'crc INTEGER', "
        "'crc INTEGER CHECK (length(hex(zeroblob(50000000))) > 0)') WHERE name = 'events'"
    ),
    "an index that takes its time": "CREATE INDEX i ON events (length(hex(zeroblob(segment * 1000000))))",
    "a column that is computed": "ALTER TABLE events ADD COLUMN more AS (length(hex(zeroblob(100000000))))",
    "a virtual table": "CREATE VIRTUAL TABLE more USING fts5(x)",
    "a view beside": (
        "CREATE VIEW more AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    ),
    "another format": "UPDATE meta SET value = '999' WHERE key = 'format'",
    "no format": "DELETE FROM meta",
    "a format with an escape": "UPDATE meta SET value = char(27) || '[31m' WHERE key = 'format'",
    "a format that is bytes": "UPDATE meta SET value = x'00ff' WHERE key = 'format'",
    "an earlier format": "UPDATE meta SET value = '1' WHERE key = 'format'",
    "meta that is bytes": "UPDATE meta SET value = x'00ff' WHERE key = 'ramet'",
    "a table with an escape": 'DROP TABLE events; CREATE TABLE "\x1b[31m" (x)',
}


@pytest.mark.parametrize("name", SQL)
def test_a_ledger_that_is_a_program_is_not_run(forger, place, name):
    """Views, triggers, computed columns and the like are refused or never met; nothing hangs."""
    folder = forger.forged(place / "run")
    with contextlib.closing(sqlite3.connect(folder / "run.db")) as db:
        db.executescript(SQL[name])
        db.commit()
    is_safe(folder)
    with at_most(PATIENCE), contextlib.suppress(RametError):
        ramet.Tuner.restore(folder, train, callbacks=[], verbose=0).fit()


def test_a_name_with_an_escape_never_reaches_the_terminal(forger, place):
    """Neither a run's name nor that of a file in it can move the cursor."""
    folder = forger.forged(place / f"run{ESCAPE}")
    (folder / CHECKPOINTS / f"left{ESCAPE}").mkdir()
    for words in (("show",), ("check",), ("check", "--repair"), ("show",)):
        said(*words, str(folder))
    said("show", str(place / f"nowhere{ESCAPE}"))


# ---------------------------------------------------------------------- sockets


class Listeners(ramet.Callback):
    """Looks for sockets that listen, while the run is under way."""

    def __init__(self) -> None:
        self.looked, self.workers, self.found = 0, 0, set[str]()

    def on_checkpoint(self, member, segment, iteration, score):
        """Look, with whoever is there now."""
        pids = [os.getpid(), *wreck.children(os.getpid())]
        self.workers = max(self.workers, len(pids) - 1)
        self.looked += 1
        self.found |= listening(pids)


def listening(pids: list[int]) -> set[str]:
    """Return the sockets of these processes on which somebody could call."""
    own = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for each in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    own.add(os.readlink(each))
    found = set()
    for name, state, accepts, inode in (
        *(("tcp", 3, "0A", 9), ("tcp6", 3, "0A", 9), ("udp", 3, "07", 9), ("udp6", 3, "07", 9)),
        ("unix", 3, "00010000", 6),
    ):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                if words[state] == accepts and f"socket:[{words[inode]}]" in own:
                    found.add(f"{name} {line.strip()}")
    return found


def test_a_run_listens_on_no_socket(place):
    """Neither the controller nor its workers can be called from outside, at any time of a run."""
    watch = Listeners()
    before = listening([os.getpid()])
    ramet.Tuner(
        walking,
        param_space={"lr": ramet.uniform(0, 1)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4),
        run_config=ramet.RunConfig(
            storage_path=place,
            stop={"training_iteration": 20},
            callbacks=[watch],
            executor=ramet.ProcessExecutor(2),
            verbose=0,
        ),
    ).fit()
    assert watch.looked > 0
    assert watch.workers > 0
    assert watch.found <= before


def test_a_socket_that_listens_would_be_seen():
    """The look itself is not blind."""
    import socket

    with socket.socket() as calls:
        calls.bind(("127.0.0.1", 0))
        calls.listen()
        assert listening([os.getpid()]) != set()


def walking(config):
    """Count."""
    for step in range(100):
        ramet.report({"score": config["lr"]}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
