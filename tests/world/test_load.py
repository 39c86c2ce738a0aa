"""Loading: anchoring, settings, access, recordings and logs; broken and hostile files."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from evals.world import layers
from evals.world.load import load
from evals.world.times import anchor_log, moment_of, offset_of, seconds_of, shift
from tests.world.writing import NODE, NOW, kinds, series, world, write
from tools.errors import DocumentError, UnknownName
from tools.types import JsonObject


def created(body: dict[str, object]) -> float:
    return moment_of(str(cast(JsonObject, body["metadata"])["creationTimestamp"]))


def test_a_world_stands_at_its_own_now_unless_it_is_anchored(tmp_path: Path) -> None:
    folder = str(write(tmp_path, "w", {"objects/n.yaml": NODE}))
    for anchor, now in ((None, NOW), (NOW + 12_345.6, NOW + 12_345.0)):
        of = load(folder, anchor=anchor)
        assert of.clock.now == now
        assert now - created(kinds(of, "DaemonSet")["dcgm-exporter"]) == 60 * 86_400
        (pod,) = kinds(of, "Pod").values()
        assert now - created(pod) == 20 * 86_400


def test_the_samples_are_the_same_wherever_a_world_is_anchored(tmp_path: Path) -> None:
    world(tmp_path, {})
    folder = str(tmp_path / "base")
    here, there = load(folder), load(folder, anchor=NOW + 86_400 * 100 + 7)
    name = "DCGM_FI_DEV_POWER_USAGE"
    first = [list(s.values) for s in series(here, name, seconds=3600.0)]
    second = [list(s.values) for s in series(there, name, seconds=3600.0)]
    assert first == second
    assert len(first) == 8


def test_times_as_metric_values_move_with_the_anchor(tmp_path: Path) -> None:
    world(tmp_path, {})
    of = load(str(tmp_path / "base"), anchor=NOW + 500)
    for found in series(of, "kube_pod_created", pod=next(n for n in kinds(of, "Pod") if n.startswith("model"))):
        assert found.values[-1] == NOW + 500 - 2 * 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("-3d2h", -266_400.0), ("+1h", 3600.0), ("1.5m", 90.0), ("250ms", 0.25), ("1w", 604_800.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "-", "5", "1y", "1h 2m", "h", "1h-2m", "²s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds_of(text)


def test_only_whole_strings_are_times() -> None:
    assert offset_of("@-5m") == -300.0
    assert offset_of("@@-5m") == -300.0
    assert offset_of("see @-5m") is None
    assert offset_of("@scope/package") is None
    assert shift("@-5m", 60) == "@-240s"


def test_times_in_objects_are_rendered_with_the_precision_of_their_field(tmp_path: Path) -> None:
    text = (
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l, namespace: team},"
        " spec: {renewTime: '@@-5s', holderIdentity: '@scope/x'}}"
    )
    lease = kinds(world(tmp_path, {"objects/l.yaml": text}), "Lease")["l"]
    assert lease["spec"] == {"renewTime": "2026-05-12T13:59:55.000000Z", "holderIdentity": "@scope/x"}


def test_settings_of_the_topmost_layer_win_and_lists_add_up(tmp_path: Path) -> None:
    base = "name: base\ndescription: d\nnow: '2026-05-12T14:00:00Z'\nkubernetes: '1.34'\nfaults: [{server: kube}]\n"
    over = (
        "name: over\nextends: base\nprometheus: 2.x\nsample_interval: 15s\nfaults: [{server: prom}]\n"
        "alerts: [{labels: {alertname: A}, activeAt: '@-10m'}]\n"
        "access: {tokens: {t: {user: ann, groups: [team]}}, rules: {ann: [{verbs: [get], resources: [pods]}]}}\n"
    )
    write(tmp_path, "base", {"world.yaml": base})
    of = load(str(write(tmp_path, "over", {"world.yaml": over})))
    assert (of.kubernetes, of.prometheus, of.sample_interval) == ("1.34", "2.x", 15.0)
    assert of.faults == [{"server": "kube"}, {"server": "prom"}]
    assert of.alerts == [{"labels": {"alertname": "A"}, "activeAt": "2026-05-12T13:50:00Z"}]
    assert of.access.tokens == {"t": ("ann", ("team",))}
    assert of.access.rules == {"ann": [{"verbs": ["get"], "resources": ["pods"]}]}


def test_recorded_samples_become_series(tmp_path: Path) -> None:
    recorded = f'# TYPE up gauge\nup{{job="a\\"b"}} 1 {NOW - 60}\nup{{job="a\\"b"}} 0 {(NOW - 30) * 1000:.0f}\n# EOF\n'
    of = world(tmp_path, {"metrics/up.om": recorded})
    (found,) = series(of, "up")
    assert found.labels["job"] == 'a"b'
    assert list(zip(found.times, found.values, strict=True)) == [(NOW - 60, 1.0), (NOW - 30, 0.0)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("up 1\n", "not a sample with a timestamp"),
        ("up one 1778594400\n", "is not a number"),
        ("up{job=x} 1 1778594400\n", "labels cannot be read"),
    ],
)
def test_a_broken_recording_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=r"up\.om:1") as caught:
        world(tmp_path, {"metrics/up.om": text})
    assert problem in str(caught.value)


def test_logs_belong_to_pods_or_to_all_pods_of_a_controller(tmp_path: Path) -> None:
    files = {
        "logs/team/model/vllm.log": "@-1m ${pod} on ${node}\nno time\n@-4m..-2m/60s tick ${n}\n",
        "logs/team/model.1/vllm.log": "@-5s second only\n",
        "logs/team/model.1/vllm/previous.log": "before\n",
    }
    of = world(tmp_path, files)
    names = [name for name in kinds(of, "Pod") if name.startswith("model")]
    assert of.logs[("team", names[0], "vllm")].decode().splitlines() == [
        "2026-05-12T13:56:00.000000Z tick 0",
        "2026-05-12T13:57:00.000000Z tick 1",
        "2026-05-12T13:58:00.000000Z tick 2",
        f"2026-05-12T13:59:00.000000Z {names[0]} on gpu-0",
        "no time",
    ]
    assert of.logs[("team", names[1], "vllm")] == b"2026-05-12T13:59:55.000000Z second only\n"
    assert of.logs[("team", names[1], "vllm/previous")] == b"before\n"


def test_a_log_may_hold_any_bytes(tmp_path: Path) -> None:
    folder = write(tmp_path, "w", {"objects/n.yaml": NODE})
    path = folder / "logs" / "team" / "dcgm-exporter" / "exporter.log"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\x00@-1m x\n")
    assert set(load(str(folder)).logs.values()) == {b"\xff\x00@-1m x\n"}
    assert anchor_log("a @-1m b\n", NOW) == "a @-1m b\n"


def test_an_unknown_world_suggests_near_names() -> None:
    with pytest.raises(UnknownName, match="did you mean hpa-cpu"):
        load("hpa-cpuu")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"world.yaml": "name: w\n"}, "needs its `now`"),
        ({"world.yaml": "name: w\nnow: yesterday\n"}, "write it as 2026-05-12T14:00:00Z"),
        ({"world.yaml": "name: w\nnow: '2026-05-12T14:00:00'\n"}, "has no time zone"),
        ({"world.yaml": "name: w\nnwo: x\n"}, "unknown field; known here"),
        ({"world.yaml": "- a\n"}, "a mapping is wanted here"),
        ({"world.yaml": ""}, "exactly one document"),
        ({"world.yaml": "name: w\nnow: '2026-05-12T14:00:00Z'\nprometheus: 4.x\n"}, "one of 3.x, 2.x"),
        ({"metrics/m.yaml": "profile: []\n"}, "unknown field; known here: drop"),
        ({"metrics/m.yaml": "profiles: [{match: {}, busy: 1}]\n"}, "says nothing"),
        ({"metrics/m.yaml": "profiles: [{match: {pod: '('}, busy: 1}]\n"}, "not a regular expression"),
        ({"metrics/m.yaml": "profiles: [{match: {pod: x}, bzy: 1}]\n"}, "unknown field"),
        ({"metrics/m.yaml": "profiles: [{match: {pod: x}, vllm: {ttft: {p50: 2, p95: 1}}}]\n"}, "0 < p50"),
        ({"metrics/m.yaml": "exporters: {dcgm: {profilin: true}}\n"}, "unknown field"),
        ({"metrics/m.yaml": "exporters: {dcgm: {version: '5'}}\n"}, "one of 4.8, 4.9"),
        ({"metrics/m.yaml": "drop: [{match: {pod: x}}]\n"}, "name a metric"),
        ({"metrics/m.yaml": "drop: [{match: {name: x}, share: 2}]\n"}, "between 0 and 1"),
        ({"metrics/m.yaml": "series: [{name: x, value: {of: busy}}]\n"}, "`of` works in profiles only"),
        ({"objects/deep.yaml": "[" * 100 + "]" * 100}, "nested deeper"),
        ({"objects/bomb.yaml": "a: &a [1]\nb: [*a, *a]\n"}, "anchors and aliases"),
        ({"objects/tag.yaml": "!!python/object/apply:os.system ['true']\n"}, "tags are not allowed"),
        ({"objects/many.yaml": "{$repeat: {count: 999999}, kind: Pod}\n"}, "a number from 0 to"),
    ],
)
def test_a_broken_world_is_one_error_with_a_place(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        load(str(write(tmp_path, "w", files)))
    assert problem in str(caught.value)
    assert caught.value.file.startswith("w/")


def test_files_have_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "MAX_FILES", 3)
    files = {f"objects/{number}.yaml": "" for number in range(4)}
    with pytest.raises(DocumentError, match="at most 3"):
        load(str(write(tmp_path, "w", files)))


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, "w", {})
    (folder / "objects").mkdir()
    (folder / "objects" / "x.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(DocumentError, match=r"w/objects/x.yaml: not UTF-8 at byte 3"):
        load(str(folder))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = write(tmp_path, "w", {"objects/n.yaml": NODE})
    assert "gpu-0" in kinds(load(str(folder)), "Node")
    (folder / "objects" / "n.yaml").write_text(NODE.replace("name: gpu-0", "name: gpu-9").replace("[gpu-0]", "[gpu-9]"))
    assert "gpu-9" in kinds(load(str(folder)), "Node")
