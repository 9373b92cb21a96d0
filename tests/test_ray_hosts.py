"""Runs on a Ray cluster of hosts that share neither files nor processes nor names, and whose cables can be cut."""

import json
import pickle
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from clouds import BUCKET, SURROUNDINGS, cloud
from rayhosts import SWITCH, Hosts, impossible
from raynodes import segments

import ramet
from ramet.core.events import Failed, Lost
from ramet.record import Record
from ramet.testing import story

WHY_NOT = impossible()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

SCRIPT = Path(__file__).parent / "scripts" / "ray_host_run.py"
sys.path.append(str(SCRIPT.parent))

from ray_host_run import tuner  # noqa: E402

LARGE, SMALL = 1_000_000, 1_000

LIMIT = 80
"""Seconds after which a run says where it stands, and ends."""


class Place:
    """Three hosts with a Ray cluster on them, a store that all of them can reach, and the runs that are done there."""

    def __init__(self, stack):
        self.hosts = stack.enter_context(Hosts())
        with self.hosts.at_the_switch():
            self.sky = stack.enter_context(cloud(SWITCH))
        import_path = [str(SCRIPT.parent), str(Path(ramet.__file__).parents[1])]
        self.environment = {
            **SURROUNDINGS,
            "AWS_ENDPOINT_URL": self.sky.endpoint,
            "PYTHONPATH": ":".join(import_path),
            "RAMET_RUNS": "/tmp/runs",
        }
        self.alpha, self.beta, self.gamma = (self.hosts.add(name) for name in ("alpha", "beta", "gamma"))
        for host, count in ((self.alpha, 1), (self.beta, 2), (self.gamma, 2)):
            self.hosts.ray(host, self.environment, num_cpus=count)

    def run(self, on_line=lambda line: None, **how):
        """Carry out a run from the first host; return the lines that it said. ``on_line`` hears each as it comes."""
        told = json.dumps({"address": self.hosts.cluster, "nodes": 3, "limit": LIMIT, **how})
        command = [sys.executable, str(SCRIPT), told]
        out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = self.alpha.start(command, self.environment, **out)
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            on_line(lines[-1])
        assert process.wait() == 0, "\n".join(lines)
        return lines

    def story(self, mark):
        """Return the story of a run that has come to its end."""
        return pickle.loads((self.alpha.root / f"tmp/story-{mark}").read_bytes())

    def events(self, mark, kind, copy):
        """Return the events of one kind that a run had, read from a ``copy`` of it."""
        shutil.copytree(self.alpha.root / "tmp/runs" / mark, copy)  # SQLite goes astray on a way through /proc
        record = Record.open(copy)
        try:
            return [event for event in record.events() if isinstance(event, kind)]
        finally:
            record.close()


@pytest.fixture(scope="module")
def place():
    """The hosts, for all tests here."""
    with ExitStack() as stack:
        yield Place(stack)


@pytest.fixture
def inline(tmp_path):
    """The story of a run in this thread."""

    def of(**how):
        return story(tuner(tmp_path / "inline", "inline", **how).fit().experiment_path)

    return of


def test_hosts_that_share_nothing_come_to_the_same_end_as_one_thread(place, inline):
    """Events, rows and large checkpoints of a run at a URL on three hosts of their own are those of inline."""
    how = {"mark": "same", "size": LARGE, "members": 5, "pace": 0.05}
    lines = place.run(folder=f"s3://{BUCKET}/same", **how)
    assert lines[-1] == "done", lines
    assert "on alpha" in lines
    assert [(host.root / "tmp/trained-same").exists() for host in place.hosts.hosts] == [True] * 3
    assert place.story("same") == inline(**how)


def test_without_a_url_hosts_that_do_not_see_the_folder_end_the_run(place):
    """Such a host is named, with the way out, as soon as it could be used, and nothing is trained there."""
    lines = place.run(folder="/tmp/runs", mark="refused", size=SMALL, pace=3.0)  # the others may take that long to come
    refusals = [line for line in lines if line.startswith("refused node")]
    assert len(refusals) == 1, lines
    assert "does not see the run's folder /tmp/runs/refused" in refusals[0]
    assert "a folder that all nodes share, or a URL such as s3://bucket/runs" in refusals[0]
    assert not (place.beta.root / "tmp/trained-refused").exists()
    assert not (place.gamma.root / "tmp/trained-refused").exists()


def test_what_only_a_host_that_is_cut_off_had_is_made_again(place, tmp_path):
    """Checkpoints that were not sent before the cable was cut are lost; their members go on from older ones."""
    cut = []

    def spoil(method, path):
        late = method in ("PUT", "POST") and "checkpoints/" in path and int(path.split("checkpoints/")[1][7:15]) > 3
        return "503" if late and not cut else None

    def on_line(line):
        if line.startswith("row ") and int(line.split()[2]) >= 7 and not cut:
            others = (place.gamma, place.beta)  # than the controller's
            until = time.monotonic() + 20
            while not cut and time.monotonic() < until:
                # Of two members at most one becomes another's clone, which needs nothing of its own any more.
                cut.extend([host for host in others if len(segments(host.root / "tmp", 7)) > 1][:1])
                time.sleep(0.05)
            for host in cut:
                place.hosts.cut(host)

    place.sky.spoil = spoil
    try:
        lines = place.run(on_line, folder=f"s3://{BUCKET}/lost", mark="lost", size=LARGE, members=5, pace=0.1)
    finally:
        for host in cut:
            place.hosts.mend(host)
    assert cut
    assert lines[-1] == "done", lines
    assert [max(int(line.split()[2]) for line in lines if line.startswith(f"row {n} ")) for n in range(5)] == [12] * 5
    lost = place.events("lost", Lost, tmp_path / "copy")
    assert lost
    assert all("its node was lost before it was sent to s3://" in event.reason for event in lost)


def test_a_host_that_is_cut_off_leaves_no_trace_and_is_used_again(place, inline, tmp_path):
    """With small checkpoints a cut cable changes nothing of the story; mended, the host trains again."""
    seen = []

    def on_line(line):
        if line.startswith("row ") and int(line.split()[2]) == 4 and not seen:
            place.hosts.cut(place.gamma)
            seen.append("cut")
        if line == "waiting":
            (place.gamma.root / "tmp/trained-cut").unlink(missing_ok=True)
            place.hosts.mend(place.gamma)
            seen.append("mended")

    how = {"mark": "cut", "size": SMALL, "members": 5, "pace": 0.1, "iterations": 72}
    lines = place.run(on_line, folder=f"s3://{BUCKET}/cut", wait_at=12, **how)
    assert lines[-1] == "done", lines
    assert seen == ["cut", "mended"]
    assert (place.gamma.root / "tmp/trained-cut").exists()
    lost = place.events("cut", Failed, tmp_path / "copy")
    assert lost
    assert not any(event.counted for event in lost)
    how["pace"] = 0.0
    found, expected = place.story("cut"), inline(**how)
    assert _without_pace(found) == _without_pace(expected)


def _without_pace(told):
    return {
        **told,
        "events": [
            (kind, {**fields, "hparams": {**fields["hparams"], "pace": None}} if "hparams" in fields else fields)
            for kind, fields in told["events"]
        ],
    }
