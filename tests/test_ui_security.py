"""Who is let in, and what a stranger's request or a stranger's run can do: nothing."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import HOST, carried_out, serving

import ramet

TOKEN = "a-secret-of-the-test"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run that is over, and beside it something that is nobody's business."""
    folder = tmp_path_factory.mktemp("all") / "runs"
    carried_out(folder / "first")
    (folder.parent / "secret").write_text("the secret", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def served(runs):
    with serving(runs) as dashboard:
        yield dashboard


# ---------------------------------------------------------------------- who is let in


@pytest.mark.parametrize("host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}", "[::1]:{}"])
def test_this_machine_asks_by_any_of_its_names(host, served):
    """Requests to a loopback name at the right port are answered."""
    assert served.ask("/api/runs", {"Host": host.format(served.port)}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{}", "127.0.0.1.evil.example:{}", "localhost.evil.example:{}", "localhost", ""),
        *(
            "127.0.0.1:1",
            "user@127.0.0.1:{}",
            "127.0.0.1:{}/x",
            "0.0.0.0:{}",
            "127.0.0.1:x",
            "[::1",
            "evil localhost:{}",
        ),
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused(host, served):
    """DNS rebinding: whatever name a page of another host asks under, it is not that of this server."""
    answer = served.ask("/api/runs", {"Host": host.format(served.port)})

    assert answer.status == 421
    assert "runs" not in answer.json


def test_a_request_without_a_host_is_refused(served):
    """Even the oldest HTTP names the host here."""
    assert b"421" in served.raw(b"GET /api/runs HTTP/1.0\r\n\r\n").splitlines()[0]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "x"])
def test_a_page_of_another_host_is_refused(origin, served):
    """A foreign Origin gets an error, and no header ever lets other hosts read an answer."""
    answer = served.ask("/api/runs", {"Origin": origin})

    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_the_dashboards_own_page_is_let_in(served):
    """The page's own Origin is no foreign one."""
    assert served.ask("/api/runs", {"Origin": served.base}).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_is_refused_but_a_link_is_followed(site, served):
    """Scripts, pictures and frames of other sites get nothing; whoever follows a link sees the page."""
    for kind in ("script", "image", "iframe", "empty"):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": kind}
        assert served.ask("/api/runs", headers).status == 403
    link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert served.ask("/", link).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"])
def test_runs_are_only_looked_at(method, served):
    """Every method but GET and HEAD is refused, whatever it is about."""
    for path in ("/", "/api/runs", "/static/main.js", "/nowhere"):
        assert served.ask(path, method=method).status == 405


def test_every_answer_says_what_a_browser_may_do_with_it(served):
    """Pages, answers and refusals alike: no framing, no guessing of types, no scripts from elsewhere, no referrer."""
    for path in ("/", "/api/runs", "/api/run/x", "/nowhere", "/static/none"):
        headers = served.ask(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe-eval" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


# ---------------------------------------------------------------------- the token


@pytest.fixture(scope="module")
def guarded(runs):
    with serving(runs, token=TOKEN) as dashboard:
        yield dashboard


def test_without_the_token_nothing_is_told(guarded):
    """No address answers without the token, nor with a wrong one, nor with one that is almost right."""
    for path in ("/", "/api/runs", "/static/main.js", "/nowhere", "/api/stream"):
        for told in ("", "?token=", "?token=wrong", f"?token={TOKEN[:-1]}", f"?token={TOKEN}x", "?token=%00%ff"):
            answer = guarded.ask(path + told)
            assert answer.status == 401
            assert "set-cookie" not in answer.headers
    assert guarded.ask("/api/runs", {"Cookie": f"ramet-token-{guarded.port}=wrong"}).status == 401
    assert guarded.ask("/api/runs", {"Cookie": "=;;=\x7f"}).status == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(guarded):
    """The printed address sets a cookie that no script reads and no other site sends, and leads on without it."""
    answer = guarded.ask(f"/?a=b&token={TOKEN}")
    cookie = answer.headers["set-cookie"]

    assert (answer.status, answer.headers["location"]) == (303, "/?a=b")
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert guarded.ask("/api/runs", {"Cookie": cookie.split(";")[0]}).status == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example/", "///evil.example", "/%0d%0aset-cookie:x=y/"])
def test_the_way_on_never_leads_to_another_host(path, guarded):
    """Whatever path the token comes with, the redirect stays here."""
    answer = guarded.ask(f"{path}?token={TOKEN}")

    assert answer.status in (303, 400)
    where = answer.headers.get("location", "/")
    assert where[0] == "/"
    assert where[1:2] not in ("/", "\\")


def test_bound_beyond_this_machine_a_token_is_made(runs, monkeypatch, capsys):
    """``ramet ui --host 0.0.0.0`` prints an address with a token that nobody can guess."""
    pytest.importorskip("uvicorn")
    from ramet.cli import main
    from ramet.ui import server

    monkeypatch.setattr(server.Server, "run", lambda self, sockets: None)
    monkeypatch.setattr("os.nice", lambda by: 0)
    monkeypatch.setattr("gc.set_threshold", lambda number: None)
    assert main(["ui", str(runs), "--host", "0.0.0.0", "--port", "0"]) == 0
    printed = capsys.readouterr().out
    assert main(["ui", str(runs), "--port", "0"]) == 0

    assert len(printed.partition("?token=")[2].split()[0]) >= 32
    assert "token" not in capsys.readouterr().out


# ---------------------------------------------------------------------- where paths lead


HOSTILE = [
    *(
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "..%5csecret",
        "%00",
        "first",
        "/first",
        "runs",
        ".",
        "..",
        "first%2frun.db",
    ),
    *("a" * 65, "a" * 10_000, "\u2028", "<b>", "' OR 1=1", "%c3%28", "-", "_", "%", "%zz", "\\", ";", "first/run.db"),
]


@pytest.mark.parametrize("path", HOSTILE)
def test_no_name_in_an_address_is_a_path(path, served):
    """Keys, figures, numbers and files are looked up and never looked for: all else is refused, and tells nothing."""
    key = served.key()
    told = quote(path, safe="%/\\;'")
    for where in (
        *(f"/{told}", f"/static/{told}", f"/api/run/{told}", f"/api/run/{told}/events", f"/api/compare?runs={told}"),
        *(f"/api/run/{key}/member/{told}", f"/api/run/{key}/schedule/{told}", f"/api/stream?run={told}"),
        *(f"/api/run/{key}/checkpoint/{told}/1", f"/api/run/{key}/checkpoint/1/{told}"),
        *(f"/api/run/{key}/events?before={told}", f"/api/run/{key}/checkpoints?limit={told}"),
    ):
        answer = served.ask(where.replace(" ", "%20"))
        assert 400 <= answer.status < 500, where
        assert b"the secret" not in answer.body
        assert b"SQLite" not in answer.body


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.text(max_size=20), max_size=5), query=st.text(max_size=30))
def test_no_address_makes_the_server_fail(parts, query, served):
    """Any path with any query is answered, and never with an error of the server's own."""
    key = served.key()
    for base in ("", "/api", f"/api/run/{key}", "/static", f"/api/run/{key}/plot", f"/api/run/{key}/checkpoint"):
        path = "/".join([base, *(quote(part, safe="", errors="replace") for part in parts)])
        answer = served.ask(f"{path}?{quote(query, safe='=&')}" if path else "/")
        assert answer.status < 500, path


@pytest.mark.parametrize(
    "data", [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nHost: \xff\r\n\r\n"]
)
def test_what_is_no_request_is_refused(data, served):
    """Bytes that are no HTTP get an error, and the next request an answer."""
    served.raw(data)

    assert served.ask("/api/runs").status == 200


@pytest.mark.parametrize("limit", [0, 1, 10**9, 10**15 - 1])
def test_no_limit_is_too_large(limit, served):
    """However much is asked for, an answer has bounds; number zero asks for little, not for all."""
    key = served.key()

    assert len(served.get(f"/api/run/{key}/events?limit={limit}")["events"]) <= 1000
    assert served.get(f"/api/run/{key}/checkpoints?limit={limit}&before={limit}") is not None


def test_links_are_no_runs(runs, tmp_path):
    """A link to a run's folder is not listed, nor is a folder whose ledger is a link."""
    (tmp_path / "runs" / "own").mkdir(parents=True)
    (tmp_path / "runs" / "linked").symlink_to(runs / "first")
    (tmp_path / "runs" / "own" / "run.db").symlink_to(runs / "first" / "run.db")
    with serving(tmp_path / "runs") as dashboard:
        assert dashboard.get("/api/runs")["runs"] == []


def _saves(config):
    folder = ramet.checkpoint_dir()
    with open(f"{folder}/weights", "wb") as file:
        file.write(bytes(3_000_000))
    ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_directory(folder))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large") / "one"
    ramet.Tuner(
        _saves,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=1),
        run_config=ramet.RunConfig(name=folder.name, storage_path=folder.parent, verbose=0, executor="inline"),
    ).fit()
    return folder


@pytest.mark.parametrize("what", ["root", "checkpoint", "file", "path"])
def test_links_out_of_a_run_are_not_followed(what, large, tmp_path):
    """A checkpoint that is a link, lies behind one, or is named by a path that leads elsewhere is not handed out."""
    run = tmp_path / "runs" / "one"
    shutil.copytree(large, run)
    (committed,) = (run / "checkpoints").iterdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"the secret" * 300_000)
    if what == "root":
        os.rename(run / "checkpoints", outside / "checkpoints")
        (run / "checkpoints").symlink_to(outside / "checkpoints")
    elif what == "checkpoint":
        os.rename(committed, outside / committed.name)
        committed.symlink_to(outside / committed.name)
    elif what == "file":
        (committed / "weights").unlink()
        (committed / "weights").symlink_to(outside / "secret")
    else:
        with closing(sqlite3.connect(run / "run.db")) as db:
            db.execute("UPDATE checkpoints SET path = ?", (f"../../../outside/{committed.name}",))
            db.commit()
    with serving(run.parent) as dashboard:
        key = dashboard.key()
        answer = dashboard.ask(f"/api/run/{key}/checkpoint/0/1")

        assert answer.status == 409
        assert b"the secret" not in answer.body
        assert dashboard.get(f"/api/run/{key}")["state"] == "ended"


# ---------------------------------------------------------------------- a stranger's run


NAMES = [
    "<img src=x onerror=alert(1)>",
    "a\u2028b",
    "x" * 10_000,
    "\x1b[31m",
    "</script><script>alert(1)</script>",
    "\x00",
]


def test_hostile_names_are_text(tmp_path):
    """Names of runs, metrics and hyperparameters arrive as JSON text of bounded length, whatever they hold."""

    def odd(config):
        for step in range(1, 11):
            row = {"score": step * config[NAMES[0]]} | dict.fromkeys(NAMES, 1.0)
            ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    folder = tmp_path / "runs" / "<script>alert(1)<script>\u2028&amp; 'x'"
    carried_out(folder, odd, stop=10, space={name: ramet.uniform(0.1, 1.0) for name in NAMES})
    with serving(tmp_path / "runs") as dashboard:
        listed = dashboard.ask("/api/runs")
        key = dashboard.key()
        for path in ("", "/events", "/errors", "/checkpoints", "/member/0", "/schedule/0"):
            answer = dashboard.ask(f"/api/run/{key}{path}")
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), answer.body[:500]
            assert isinstance(answer.json, dict)
            assert len(answer.body) < 2_000_000
        rows = dashboard.get(f"/api/run/{key}")["members"]

    assert listed.json["runs"][0]["name"] == folder.name
    assert all(len(row["hparams"]) == len(NAMES) and max(map(len, row["hparams"])) <= 300 for row in rows)


def _damaged(kind, data):
    def damage(db):
        db.execute("UPDATE events SET data = ? WHERE kind = ?", (data, kind))

    return damage


DAMAGES = {
    f"{kind} {index}": _damaged(kind, data)
    for kind in ("Began", "Opened", "Kept", "Decided", "Finished", "Ended")
    for index, data in enumerate(
        [
            "", "{", "[]", "null", "{}", "1", '{"segment": -1}', '{"segment": 1e999}', '{"segment": "x", "member": 0}',
            json.dumps({"segment": 10**30, "member": 10**30, "score": "x", "iteration": [], "reason": {}, "facts": []}),
            "[" * 2000,
        ]
    )
}  # fmt: skip
DAMAGES |= {
    "no tables": lambda db: db.execute("DROP TABLE reports"),
    "no events": lambda db: db.execute("DELETE FROM events"),
    "odd rows": lambda db: db.execute("UPDATE reports SET rows = 'x'"),
    "odd segments": lambda db: db.execute("UPDATE reports SET segment = 999999"),
    "odd spans": lambda db: db.execute("UPDATE reports SET first = -5, last = 9223372036854775807"),
    "odd times": lambda db: db.execute("UPDATE reports SET at = 9e999"),
    "odd checkpoints": lambda db: db.execute("UPDATE checkpoints SET kind = 7, size = 'x', data = NULL, path = NULL"),
    "long checkpoints": lambda db: db.execute("UPDATE checkpoints SET size = 9223372036854775807"),
    "odd facts": _damaged("Began", json.dumps({"seed": None, "members": 4, "facts": {
        "metric": ["a"], "mode": 3, "mutable": [1], "strategy": "x", "goal": "many", "stop": {"a": [[[[1]]]]}}})),
}  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_ledger_is_an_answer_and_no_failure(how, runs, tmp_path):
    """Whatever is wrong with a ledger, every address answers, and none with an error of the server's own."""
    shutil.copytree(runs / "first", tmp_path / "first")
    with closing(sqlite3.connect(tmp_path / "first" / "run.db")) as db:
        DAMAGES[how](db)
        db.commit()
    with serving(tmp_path) as dashboard:
        key = dashboard.key()
        for path in (
            "",
            "/events",
            "/errors",
            "/checkpoints",
            "/member/0",
            "/member/3",
            "/checkpoint/0/5",
            "/schedule/1",
        ):
            answer = dashboard.ask(f"/api/run/{key}{path}")
            assert answer.status in (200, 404, 409), (path, answer.body)
            if answer.status != 200:
                assert answer.json["error"]
        assert dashboard.ask(f"/api/compare?runs={key}").status == 200


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), data=st.binary(min_size=1, max_size=60))
def test_a_ledger_with_flipped_bytes_is_an_answer_and_no_failure(at, data, runs, tmp_path_factory):
    """Bytes written anywhere into a ledger never make the server fail."""
    folder = tmp_path_factory.mktemp("flipped")
    shutil.copytree(runs / "first", folder / "first")
    with open(folder / "first" / "run.db", "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(int(at * size))
        file.write(data)
    with serving(folder) as dashboard:
        key = dashboard.key()
        for path in ("", "/events", "/checkpoints", "/member/1", "/checkpoint/0/5", "/schedule/1"):
            assert dashboard.ask(f"/api/run/{key}{path}").status in (200, 404, 409), path
    shutil.rmtree(folder)


def test_a_client_that_does_not_read_holds_up_nobody(large):
    """While one client takes none of what it asked for, others are answered."""
    import socket

    with serving(large.parent) as dashboard:
        key = dashboard.key()
        with socket.create_connection((HOST, dashboard.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            slow.sendall(
                f"GET /api/run/{key}/checkpoint/0/1 HTTP/1.1\r\nHost: 127.0.0.1:{dashboard.port}\r\n\r\n".encode()
            )
            assert slow.recv(12) == b"HTTP/1.1 200"
            for _ in range(3):
                assert dashboard.get(f"/api/run/{key}")["state"] == "ended"
