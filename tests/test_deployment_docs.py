"""What the page on where to run shows can be used: its code compiles, its manifests have the shape that they should."""

from __future__ import annotations

import re
from typing import Any

import pytest
from test_docs import ROOT, block, blocks, table, ticked

import ramet

PAGE = ROOT / "docs" / "deployment.md"
MANIFESTS = {"rayjob": "RayJob", "raycluster": "RayCluster"}

CLUSTER = {"rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"}
FIELDS = {
    "RayJob": {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"},
    "RayCluster": CLUSTER,
    "head": {"rayStartParams", "template"},
    "worker": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
    "container": {"name", "image", "env", "envFrom", "resources", "volumeMounts"},
}
"""Fields of ray.io/v1, and of a pod's container, that the manifests use; from KubeRay's API reference."""


def read(text: str) -> Any:
    """Return what a manifest holds: the little of YAML that they use, which is maps, lists and plain scalars."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in text.splitlines() if line.strip()]
    assert not any("\t" in line or line.startswith(("#", "&", "*", "|", ">")) for _, line in lines)
    found, rest = _node(lines, 0)
    assert rest == []
    return found


def _node(lines: list[tuple[int, str]], depth: int) -> tuple[Any, list[tuple[int, str]]]:
    return _items(lines, depth) if lines[0][1].startswith("- ") else _map(lines, depth)


def _items(lines: list[tuple[int, str]], depth: int) -> tuple[list[Any], list[tuple[int, str]]]:
    found = []
    while lines and lines[0][0] == depth and lines[0][1].startswith("- "):
        item, lines = _map([(depth + 2, lines[0][1][2:]), *lines[1:]], depth + 2)
        found.append(item)
    return found, lines


def _map(lines: list[tuple[int, str]], depth: int) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    found: dict[str, Any] = {}
    while lines and lines[0][0] == depth and not lines[0][1].startswith("- "):
        told = re.fullmatch(r"([\w./-]+):(?: (.+))?", lines[0][1])
        assert told, lines[0]
        name, value = told.groups()
        assert name not in found, name
        lines = lines[1:]
        if value is None:
            assert lines, f"{name} holds nothing"
            assert lines[0][0] > depth, f"{name} holds nothing"
            found[name], lines = _node(lines, lines[0][0])
        else:
            found[name] = {"{}": {}, "true": True}.get(value, int(value) if value.isdecimal() else value.strip('"'))
    assert not lines or lines[0][0] <= depth, lines[0]
    return found, lines


def manifest(name: str) -> Any:
    """Return a manifest of the page."""
    return read(block(PAGE, name))


def cluster(name: str) -> Any:
    """Return what a manifest says of the cluster."""
    spec = manifest(name)["spec"]
    return spec.get("rayClusterSpec", spec)


def groups(name: str) -> list[Any]:
    """Return the head's group and the workers'."""
    return [cluster(name)["headGroupSpec"], *cluster(name)["workerGroupSpecs"]]


@pytest.mark.parametrize("found", [b for b in blocks(PAGE) if b.language == "py"], ids=lambda b: str(b.line))
def test_a_snippet_compiles_and_its_arguments_are_taken(found):
    """A snippet that is not run is valid Python, and what it sets up of Ramet alone is accepted."""
    code = compile(found.text, PAGE.name, "exec")
    if "s3://" not in found.text:
        exec(code, {"ramet": ramet, "train": lambda config: None})


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_yaml(name):
    """Every YAML reader reads a manifest as our small one does, which is here always."""
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(block(PAGE, name)) == manifest(name)


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_has_the_fields_of_its_kind(name):
    """It is of ray.io/v1, and uses no field that this has not; nothing that it needs is missing."""
    told = manifest(name)
    assert (told["apiVersion"], told["kind"]) == ("ray.io/v1", MANIFESTS[name])
    assert told.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert told["spec"].keys() <= FIELDS[told["kind"]]
    assert cluster(name).keys() <= CLUSTER
    head, *workers = groups(name)
    assert head.keys() == FIELDS["head"]
    for worker in workers:
        assert worker.keys() == FIELDS["worker"]
        assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]
    for group in groups(name):
        assert all(type(value) is str for value in group["rayStartParams"].values())
        for container in group["template"]["spec"]["containers"]:
            assert container.keys() <= FIELDS["container"]
            assert container["resources"]["requests"] == container["resources"]["limits"] != {}


@pytest.mark.parametrize("name", MANIFESTS)
def test_all_pods_of_a_manifest_are_alike_where_they_have_to_be(name):
    """Head and workers have one image, one Ray, one place for the run, and the same right to it."""
    pods = [group["template"]["spec"] for group in groups(name)]
    containers = [container for pod in pods for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert len({str(container.get("envFrom")) + str(container.get("volumeMounts")) for container in containers}) == 1
    assert len({str(pod.get("serviceAccountName")) + str(pod.get("volumes")) for pod in pods}) == 1
    image = re.search(r"^FROM rayproject/ray:([\d.]+)-py", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert image
    assert cluster(name)["rayVersion"] == image[1]


def test_no_credential_is_in_the_page():
    """Manifests name a secret or an account, and hold no key; commands take theirs from the environment."""
    text = PAGE.read_text(encoding="utf-8")
    values = [env["value"] for name in MANIFESTS for group in groups(name)
              for one in group["template"]["spec"]["containers"] for env in one.get("env", [])]  # fmt: skip
    assert set(values) <= {"ray", "s3://BUCKET/runs", "/mnt/runs"}
    assert set(re.findall(r"AWS_[A-Z_]+=(\S+)", text)) <= {'"$AWS_ACCESS_KEY_ID"', '"$AWS_SECRET_ACCESS_KEY"'}


def test_what_was_tried_is_told_of_every_place():
    """Each place of the page's sections has a row in the table of what was tried and what was not."""
    rows = table(PAGE, "tested")
    assert all(len(row) == 3 for row in rows)
    told = " ".join(row[0].lower() for row in rows)
    for place in ("laptop", "one machine", "ray cluster", "slurm", "kubernetes"):
        assert place in told
    assert ticked(next(row[0] for row in rows if "URL" in row[0])) == ["storage_path"]
