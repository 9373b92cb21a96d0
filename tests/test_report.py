"""The report: one file, the same page, nothing loaded from anywhere, and nothing in it that is not text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from serving import carried_out

import ramet
from ramet.cli import main
from ramet.errors import RametError
from ramet.ui.bundle import bundled

HOSTILE = "</script><script>window.broken = 1</script><!--<script>\u2028&amp;"


class Scripts(HTMLParser):
    """The contents of a page's scripts, by their ids, and all addresses that it names."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.plain, self.named, self._current = {}, [], [], None
        self.policy = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        if tag == "script":
            self._current = told.get("id", "code")
            self.scripts[self._current] = ""
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"]
        self.named += [told[name] for name in ("src", "href") if name in told]

    def handle_endtag(self, tag):
        if tag == "script":
            self._current = None

    def handle_data(self, data):
        if self._current is not None:
            self.scripts[self._current] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of a run whose names are hostile, and the run."""
    pytest.importorskip("plotly")

    def odd(config):
        checkpoint = ramet.get_checkpoint()
        for step in range(checkpoint.to_dict()["step"] + 1 if checkpoint else 1, 21):
            if step == 13 and ramet.get_context().member == 1:
                raise ValueError(HOSTILE)
            row = {"score": step * config[HOSTILE], HOSTILE: 1.0}
            ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    folder = tmp_path_factory.mktemp("runs") / "<b>one &amp; all"
    carried_out(folder, odd, space={HOSTILE: ramet.uniform(0.1, 1.0)})
    out = folder.parent / "report.html"
    assert main(["report", str(folder), "-o", str(out)]) == 0
    return out, folder


@pytest.fixture(scope="module")
def parsed(written):
    return Scripts(written[0].read_text(encoding="utf-8"))


def test_a_report_loads_nothing(parsed):
    """Nothing in the file names anything outside it, and its policy forbids all that it does not hold itself."""
    assert [name for name in parsed.named if not name.startswith(("#", "data:"))] == []
    assert parsed.policy.startswith("default-src 'none'")
    assert "connect-src" not in parsed.policy
    assert "unsafe-inline' 'self" not in parsed.policy
    for name in ("code", "plotly-source"):
        digest = base64.b64encode(hashlib.sha256(parsed.scripts[name].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in parsed.policy


def test_what_users_named_cannot_end_a_script(parsed):
    """The page has exactly its three scripts, and hostile names are in the answers as they are."""
    assert set(parsed.scripts) == {"frozen", "code", "plotly-source"}
    assert not set("<>&\u2028\u2029") & set(parsed.scripts["frozen"])
    told = json.loads(parsed.scripts["frozen"])
    overview = next(answer for path, answer in told.items() if re.fullmatch(r"/api/run/[^/]+", path))
    assert set(overview["members"][0]["hparams"]) == {HOSTILE}


def test_a_report_holds_all_that_the_page_asks(written, parsed):
    """Overview, every member's story, events, errors, checkpoints and every plot are in it."""
    told = json.loads(parsed.scripts["frozen"])
    key = next(iter(told)).split("/")[3]
    overview = told[f"/api/run/{key}"]
    with ramet.open(written[1]) as run:
        assert overview["version"] == run.trace.last

    assert {f"/api/run/{key}/member/{number}" for number in range(4)} <= told.keys()
    assert {f"/api/run/{key}/{name}" for name in ("events", "errors", "checkpoints")} <= told.keys()
    assert overview["plots"]
    for plot in overview["plots"]:
        assert told[f"/api/run/{key}/plot/{plot['name']}"]["data"]
    assert told[f"/api/run/{key}/errors"]["errors"][0]["cause"].startswith("ValueError: </script>")
    assert not any(row["there"] for row in told[f"/api/run/{key}/checkpoints"]["checkpoints"])
    assert [run["key"] for run in told["/api/runs"]["runs"]] == [key]


def test_what_has_no_room_is_left_out_and_said(written, monkeypatch):
    """Of a run that is too large for one file, some is left out; the report says what, and keeps the best member."""
    from ramet.ui import frozen

    with ramet.open(written[1]) as run:
        whole = dict(frozen.asked(run))
        best = run.best().member
        stories = [answer for path, answer in whole.items() if "/member/" in path]
        plots = sum(len(json.dumps(answer)) for path, answer in whole.items() if "/plot/" in path)
        monkeypatch.setattr(frozen, "ROOM", plots + len(json.dumps(stories[0])) + 1000)
        told = dict(frozen.asked(run))

    kept = [path for path in told if "/member/" in path]
    overview = next(answer for path, answer in told.items() if re.fullmatch(r"/api/run/[^/]+", path))
    assert kept[0].endswith(f"/member/{best}")
    assert len(kept) < 4
    assert any("leaves out" in note and "stor" in note for note in overview["notes"])


def test_a_report_goes_where_it_was_told(written, tmp_path, capsys):
    """A folder gets a report.html; a file that is there is replaced as a whole, or left as it was."""
    _, folder = written
    (tmp_path / "report.html").write_text("old", encoding="utf-8")

    assert main(["report", str(folder), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert main(["report", str(folder), "-o", str(tmp_path / "nowhere" / "x.html")]) == 1
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "y.html")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    said = capsys.readouterr()
    assert "holds no run" in said.out + said.err


@pytest.mark.parametrize("verb", ["ui", "report"])
def test_what_is_not_installed_is_said_in_a_line(verb, written, monkeypatch, capsys):
    """Without the libraries both verbs say what to install, and end with status 1."""
    import importlib.util

    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *more: None if name == "plotly" else there(name, *more)
    )

    assert main([verb, str(written[1])]) == 1
    said = capsys.readouterr()
    assert "pip install 'ramet[ui]'" in said.out + said.err


# ---------------------------------------------------------------------- modules put together


def test_modules_become_one_script_in_the_order_of_their_imports():
    """What is imported comes first, names of a module stay its own, and renamed imports are known by the new name."""
    told = bundled(
        {
            "main.js": 'import { one } from "./a.js";\nimport { one as other } from "./b.js";\nlog(one, other);',
            "a.js": "const hidden = 1;\nexport const one = hidden;",
            "b.js": 'import { one } from "./a.js";\nexport function two() {}\nexport async function three() {}',
            "unused.js": "boom",
        },
        "main.js",
    )

    assert told.index("a.js") < told.index("b.js") < told.index("main.js")
    assert "boom" not in told
    assert "export" not in told
    assert "const { one : other } = modules['b.js'];" in told.replace("  ", " ")
    assert "return { two, three };" in told


@pytest.mark.parametrize(
    "modules",
    [
        {"m.js": 'import { x } from "./n.js";', "n.js": 'import { y } from "./m.js";\nexport const x = 1;'},
        {"m.js": 'import { x } from "./gone.js";'},
        {"m.js": 'import x from "./n.js";', "n.js": "export default 1;"},
        {"m.js": "export * from './n.js';", "n.js": ""},
    ],
)
def test_modules_that_cannot_be_put_together_are_refused(modules):
    """Circles, missing files and other ways to import are an error that says so, not a page that fails."""
    with pytest.raises(RametError):
        bundled(modules, "m.js")


# ---------------------------------------------------------------------- in a browser


def test_a_report_opens_from_a_file_without_a_network(written, browser, complaints):
    """Opened from a file, offline, the page shows the run and draws a plot, asks nobody, and logs no error."""
    from browser import listened

    asked = []
    with browser.new_context(offline=True) as context:
        page = listened(context.new_page(), complaints)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(written[0].as_uri())
        page.get_by_role("heading", name="<b>one &amp; all").first.wait_for()
        page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
        assert page.evaluate("window.broken") is None

    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
