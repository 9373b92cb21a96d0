"""The dashboard's pages in a browser: they show what is so, go on while a run does, and trust nobody's names."""

from __future__ import annotations

import contextlib
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from serving import HOST, LONG, Served, carried_out, serving

import ramet

STATIC = Path(ramet.__file__).parent / "ui" / "static"
SIZES = {"desk": (1440, 900), "tablet": (820, 1180), "phone": (390, 844)}
EVIL = '<img src=x onerror="window.owned=1">'
WIDE = "n" * 200

GOES_ON = """
import sys, time
from pathlib import Path
import ramet
folder = Path(sys.argv[1])
def train(config):
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        if not (folder.parent / "go").exists():
            time.sleep(0.02)
        step += 1
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
ramet.Tuner(
    train, param_space={"lr": ramet.uniform(0.1, 1)},
    tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=3),
    run_config=ramet.RunConfig(name=folder.name, storage_path=folder.parent, verbose=0, executor="inline",
                               stop={"training_iteration": 2000}),
).fit()
"""


def breaks(config):
    """Report scores, of which some are no numbers, and let one member in three fail twice."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        step += 1
        if step == 7 and ramet.get_context().member % 3 == 1:
            raise RuntimeError(f"out of memory {EVIL}")
        score = float("nan") if config["lr"] > 0.8 else config["lr"] * step
        ramet.report(
            {"score": score, EVIL: step},
            checkpoint=ramet.Checkpoint.from_dict({"step": step}) if step % 5 == 0 else None,
        )


def hostile(config):
    """Report a metric with a name that no page should take for more than text."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        step += 1
        held = ramet.Checkpoint.from_dict({"step": step}) if step % 5 == 0 else None
        ramet.report({EVIL: config["lr"] * step}, checkpoint=held)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of all kinds: plain, crowded, with failures, with hostile names, with many hyperparameters, and damaged."""
    folder = tmp_path_factory.mktemp("runs")
    lr = ramet.uniform(0.05, 1.0)
    carried_out(folder / "plain", members=6, stop=30)
    carried_out(folder / "crowd", members=130, stop=10)
    carried_out(folder / "broken", breaks, failure_config=ramet.FailureConfig(max_failures=1))
    names = {"lr": lr, EVIL: ramet.choice(["<script>window.owned=1</script>", "b" * 300]), WIDE: ramet.randint(1, 9)}
    carried_out(folder / "hostile", hostile, metric=EVIL, space=names)
    carried_out(folder / "many", space={"lr": lr} | {f"layer/{at}/width": ramet.choice([16, 32]) for at in range(60)})
    (folder / "damaged").mkdir()
    (folder / "damaged" / "run.db").write_bytes((folder / "plain" / "run.db").read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def served(folder):
    with serving(folder) as dashboard:
        yield dashboard


NO_PLOTLY = "window.Plotly = {react: () => {}, purge: () => {}}"
"""Stands for Plotly where plots do not matter: to run the real one takes longer than all else."""


def look(page, served, route="", run=None, plots=False):
    """Open a page and wait until it shows what it is about."""
    if not plots:
        page.route("**/plotly.min.js*", lambda asked: asked.fulfill(body=NO_PLOTLY, content_type="text/javascript"))
    page.goto(f"{served.base}/#/{route.replace('RUN', served.key(run) if run else '')}")
    page.locator("main .page").wait_for()
    page.locator(".wait").wait_for(state="detached")
    return page


def seen(page, text):
    """Wait until a text is to be seen in the page."""
    page.locator("main").get_by_text(text).locator("visible=true").first.wait_for()


def members(page):
    """Return the numbers of the members in the table, from the top."""
    return [int(text) for text in page.locator("table.grid tbody th").all_inner_texts()]


# ---------------------------------------------------------------------- what is shown

ROUTES = [
    ("", "plain", "damaged"),
    ("run/RUN/overview", "plain", "Best member"),
    ("run/RUN/overview", "crowd", "130"),
    ("run/RUN/overview", "broken", "failed 2×"),
    ("run/RUN/overview", "hostile", EVIL),
    ("run/RUN/overview", "many", "Columns: 61 hyperparameters"),
    ("run/RUN/lineage", "plain", "plain"),
    ("run/RUN/schedules", "plain", "plain"),
    ("run/RUN/exploits", "plain", "plain"),
    ("run/RUN/diversity", "plain", "plain"),
    ("run/RUN/parameters", "plain", "plain"),
    ("run/RUN/slots", "plain", "plain"),
    ("run/RUN/events", "plain", "the run began with 6 members"),
    ("run/RUN/events", "broken", "failed for good"),
    ("run/RUN/errors", "plain", "No member of this run has failed"),
    ("run/RUN/errors", "broken", f"RuntimeError: out of memory {EVIL}"),
    ("run/RUN/checkpoints", "plain", "Download"),
    ("run/RUN/member/0", "plain", "founder"),
    ("run/RUN/member/1", "broken", "What it failed of"),
    ("run/RUN/member/2", "hostile", EVIL),
    ("run/RUN/member/3", "many", "more charts"),
    ("run/RUN/member/99", "plain", "This run has no member 99"),
    ("compare/RUN", "plain", "Nothing to compare"),
    ("run/RUN/nonsense", "plain", "No page has this address"),
]


@pytest.mark.parametrize("run", sorted({run for _, run, _ in ROUTES}))
def test_every_route_shows_what_it_names(run, served, page):
    """Each page of each kind of run says what it is about, and the browser has nothing to complain of."""
    for route, whose, text in ROUTES:
        if whose == run:
            look(page, served, route, run)
            seen(page, text)


@pytest.mark.parametrize(
    ("key", "text"), [("damaged", "This run is damaged"), ("nobody", "No such run")], ids=["damaged", "unknown"]
)
def test_a_run_that_cannot_be_shown_says_why(key, text, served, page, complaints):
    """A damaged run and an unknown one are told in words; the browser itself notes the refused request."""
    look(page, served, f"run/{served.key(key) if key == 'damaged' else key}/overview")

    seen(page, text)
    assert all("status of 4" in complaint for complaint in complaints)
    complaints.clear()


def test_an_empty_folder_says_what_would_be_there(tmp_path, page):
    """Who starts the dashboard first learns that runs will turn up."""
    with serving(tmp_path) as dashboard:
        look(page, dashboard)

        seen(page, "No runs here yet")
        page.goto("about:blank")


def test_names_that_are_markup_are_shown_as_text(served, page):
    """Whatever metrics, hyperparameters and errors are called, the page shows it and runs nothing of it."""
    for run in ("hostile", "broken"):
        for route in ("", "run/RUN/overview", "run/RUN/events", "run/RUN/errors", "run/RUN/member/1"):
            look(page, served, route, run)
            assert page.evaluate("window.owned") is None
            assert page.locator("main img, main script, main iframe").count() == 0


def test_a_table_can_be_sorted_and_filtered(served, page):
    """A press on a heading sorts by numbers, another one the other way; a filter keeps the rows that fit."""
    look(page, served, "run/RUN/overview", "crowd").locator("table.grid tbody tr").nth(129).wait_for()
    heading = page.get_by_role("button", name="Member", exact=True)

    heading.click()
    assert members(page)[:3] == [0, 1, 2]
    assert page.locator("th[aria-sort=ascending]").inner_text().strip() == "Member"
    heading.click()
    assert members(page)[:3] == [129, 128, 127]
    page.get_by_label("Filter: Members").fill("finished 12")
    assert all("12" in row for row in page.locator("table.grid tbody tr").all_inner_texts())
    page.get_by_label("Filter: Members").fill("nothing like that")
    seen(page, "Nothing here fits the filter.")


def test_hyperparameters_beyond_the_first_ones_are_columns_on_demand(served, page):
    """Of many hyperparameters six are shown; a menu shows any of the others."""
    look(page, served, "run/RUN/overview", "many")
    assert page.get_by_role("columnheader", name="layer/59/width").count() == 0

    page.get_by_text("Columns: 61 hyperparameters").click()
    page.get_by_label("Find a hyperparameter").fill("layer/59")
    page.get_by_role("checkbox", name="layer/59/width").check()

    page.get_by_role("columnheader", name="layer/59/width").wait_for()
    assert page.locator("table.grid tbody tr").count() == 4


def test_older_events_are_shown_on_demand(served, page):
    """The newest events come first, and the very first one is there after all older ones were asked for."""
    look(page, served, "run/RUN/events", "crowd")
    seen(page, "the run is over")
    assert page.get_by_text("the run began with").count() == 0

    page.get_by_role("button", name="Load older events").click()

    seen(page, "the run began with 130 members")


def test_runs_that_are_ticked_are_compared(served, page):
    """Two ticks in the list lead to a page with a row for each of the two, and what they differ in."""
    look(page, served)
    for name in ("plain", "crowd"):
        page.get_by_role("checkbox", name=f"Compare {name}").check()

    page.get_by_role("link", name="Compare 2 runs").click()

    seen(page, "Comparison of 2 runs")
    table = page.get_by_role("table", name="What came out of each run")
    table.get_by_role("link", name="crowd").wait_for()
    assert page.get_by_role("table", name="What the runs were set to differently").get_by_text("members").count() == 1


def test_a_checkpoint_is_downloaded(served, page):
    """The link of a checkpoint brings the bytes that the run has kept, under a name."""
    look(page, served, "run/RUN/checkpoints", "plain")

    with page.expect_download() as download:
        page.get_by_label("Download the checkpoint of member 0 at iteration 30").click()

    assert download.value.suggested_filename.endswith(".pkl")
    assert pickle.loads(Path(download.value.path()).read_bytes())["step"] == 30


@pytest.mark.parametrize("run", ["plain", "hostile"])
def test_plots_are_drawn_when_the_page_is_there(run, served, page):
    """Plotly is loaded after the tables and draws what comes into view, whatever the run's names are."""
    pytest.importorskip("plotly")
    look(page, served, "run/RUN/overview", run, plots=True).locator(".plot svg.main-svg").first.wait_for()
    for tab in ("Lineage", "Schedules", "Exploits", "Diversity", "Parameters"):
        page.get_by_role("link", name=tab, exact=True).click()
        page.locator(f".tab-{tab.lower()} .plot").first.wait_for()
        for plot in page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            plot.locator("svg.main-svg").first.wait_for()
    assert page.evaluate("window.owned") is None


def test_what_a_plot_says_is_text(folder, page, monkeypatch):
    """What a plot has found stands beside its name, and one that has nothing to draw says why in its place."""
    pytest.importorskip("plotly")
    from ramet.ui import app

    figures = {
        "envelope": {"data": [{"type": "scatter", "y": [1, 2]}], "layout": {"title": {"text": "two &#60;points&#62;"}}},
        "slots": {"data": [], "layout": {"annotations": [{"text": "no <b>slots</b> &#38; so on"}]}},
    }
    monkeypatch.setattr(app, "charts", lambda: [{"name": name, "title": name.title()} for name in figures])
    monkeypatch.setattr(app, "drawn", lambda run, name, wishes: figures[name])
    with serving(folder) as dashboard:
        look(page, dashboard, "run/RUN/overview", "plain", plots=True)
        seen(page, "two <points>")
        page.get_by_role("link", name="Slots").click()
        seen(page, "no slots & so on")
        page.goto("about:blank")


def test_a_report_is_the_same_page_in_one_file(folder, tmp_path, page):
    """A frozen report shows members, stories and events from a file, without a server and without downloads."""
    pytest.importorskip("plotly")
    from ramet.analysis.run import Run
    from ramet.ui.frozen import frozen

    with Run(folder / "hostile") as run:
        (tmp_path / "report.html").write_bytes(frozen(run))
    page.goto((tmp_path / "report.html").as_uri())

    seen(page, "Best member")
    page.get_by_role("link", name="Member 0", exact=True).click()
    seen(page, "founder")
    page.get_by_role("link", name="Checkpoints").click()
    page.locator("table.grid tbody tr").first.wait_for()
    assert page.get_by_text("Download").count() == 0
    assert page.evaluate("window.owned") is None


# ---------------------------------------------------------------------- while a run goes on


def test_a_page_follows_a_run_to_its_end(tmp_path, page):
    """A run in another process: its page shows it under way, then further, then ended, without being asked again."""
    command = [sys.executable, "-c", GOES_ON, str(tmp_path / "live")]
    with serving(tmp_path) as dashboard, subprocess.Popen(command) as run:
        try:
            look(page, dashboard)
            page.get_by_role("link", name="live", exact=True).click()
            page.locator(".run-head").get_by_text("under way").wait_for()
            page.locator("#link-state", has_text="live").wait_for()
            progress = page.locator(".progress-text", has_text=re.compile("iteration .*[1-9]"))
            progress.wait_for()
            progress.filter(has_not_text=progress.inner_text().partition("iteration")[2]).wait_for()

            (tmp_path / "go").touch()

            page.locator(".run-head .chip", has_text="ended").wait_for()
            page.locator("table.grid tbody td", has_text=re.compile("^2 000$")).first.wait_for()
            page.locator("#link-state", has_text="run ended").wait_for()
            assert run.wait(LONG) == 0
        finally:
            run.kill()
        page.goto("about:blank")


@contextlib.contextmanager
def serving_at(folder, port):
    """Serve runs at a port, as a server that is started again does."""
    from ramet.ui.folder import Runs
    from ramet.ui.server import bound, server

    with bound(HOST, port, 0) as sock:
        made = server(Runs(folder), sock, HOST, None)
        thread = threading.Thread(target=made.run, args=([sock],))
        thread.start()
        try:
            yield Served(sock.getsockname()[1], made)
        finally:
            made.should_exit = True
            thread.join(LONG)


def test_a_page_outlives_its_server(tmp_path, page, complaints):
    """While the server is away the page says so and keeps what it shows; when it is back the page goes on."""
    carried_out(tmp_path / "first")
    with serving_at(tmp_path, 0) as dashboard:
        look(page, dashboard)
        page.locator("#link-state[data-word=live]").wait_for()
    page.locator("#link-state", has_text="reconnecting").wait_for()
    page.get_by_role("link", name="first").wait_for()
    carried_out(tmp_path / "second")

    with serving_at(tmp_path, dashboard.port):
        page.locator("#link-state[data-word=live]").wait_for()
        page.get_by_role("link", name="second").wait_for()
        page.goto("about:blank")
    assert all("net::ERR_" in complaint for complaint in complaints)
    complaints.clear()


# ---------------------------------------------------------------------- keys, themes, sizes


def test_everything_is_reached_with_the_keyboard(served, page):
    """Keys walk through tables, open and leave pages, filter, explain themselves and switch tabs."""
    look(page, served, "run/RUN/overview", "plain")
    first, second = members(page)[:2]

    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == str(first)
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == str(second)
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=f"Member {first}").wait_for()
    page.keyboard.press("u")
    page.get_by_role("heading", name="Best member").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("nobody")
    seen(page, "Nothing here fits the filter.")
    page.keyboard.press("Escape")
    assert len(members(page)) == 6
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.get_by_role("list", name="Events, newest first").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.get_by_role("heading", name="Runs").wait_for()


def test_the_first_tab_stop_leads_to_the_content(served, page):
    """Who walks with the tab key can skip what is the same on all pages."""
    look(page, served, "run/RUN/overview", "plain")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"
    seen(page, "Best member")


def test_tables_say_what_they_are_to_those_who_do_not_see_them(served, page):
    """A table has a caption, its headings a scope, and what it is sorted by is said."""
    look(page, served, "run/RUN/overview", "plain")

    assert page.get_by_role("table", name="Members").count() == 1
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    assert page.locator("th[aria-sort=ascending]").inner_text().strip() == "Rank"
    assert (
        page.get_by_role("navigation", name="About this run").locator("[aria-current=page]").inner_text() == "Overview"
    )


def test_the_theme_is_the_systems_until_it_is_switched(served, page):
    """Light or dark as the system is; a switch goes to the other one, which is remembered."""
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = look(page, served).evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark

    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(ground) == light
    page.reload()
    look(page, served)
    assert page.evaluate(ground) == light
    page.keyboard.press("t")
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("size", SIZES)
def test_no_page_is_wider_than_its_window(size, served, page):
    """At a desk, on a tablet and on a phone everything is read without moving the page sideways."""
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    for route, run, text in ROUTES:
        if run in ("hostile", "many", "broken") or not route:
            look(page, served, route, run, plots=True)
            seen(page, text)
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, route


# ---------------------------------------------------------------------- the page's own rules


def test_the_page_is_made_of_small_files_that_trust_nothing():
    """Text is never made markup, nothing comes from elsewhere, scripts are short and stand in files of their own."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script(?![^>]* src=\"static/)", page) == []
    assert re.findall(r"\son\w+\s*=", page) == []
    for path in sorted(STATIC.iterdir()):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 300, path.name
        assert (
            re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []
        ), path.name
        links = set(re.findall(r"https?://[^\s\"'<)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert links == set(), path.name


def test_the_page_has_one_door_and_no_circles():
    """Each script imports only scripts that stand before it in the order that main.js gives, one name a line."""
    main = (STATIC / "main.js").read_text(encoding="utf-8")
    told = re.search(r"before it\):\n((?:// .*\n)+)", main)
    assert told is not None
    order = told[1].replace("//", "").split()
    assert sorted(order) == sorted(path.stem for path in STATIC.glob("*.js"))
    # All are asked for at once, or a page would wait for one after the other.
    ahead = re.findall(
        r'rel="modulepreload" href="static/(\w+)\.js"', (STATIC / "index.html").read_text(encoding="utf-8")
    )
    assert sorted([*ahead, "main"]) == sorted(order)
    for name in order:
        text = (STATIC / f"{name}.js").read_text(encoding="utf-8")
        imports = re.findall(r'^import \{ [\w, ]+ \} from "\./(\w+)\.js";$', text, re.MULTILINE)
        assert len(imports) == len(re.findall(r"^import\b", text, re.MULTILINE))
        assert set(imports) <= set(order[: order.index(name)]), name
