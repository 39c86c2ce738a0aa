"""What a plan predicts: arithmetic on what was measured, with its assumptions, and nothing beyond it."""

from __future__ import annotations

from agent.analysis.view import View
from agent.changes.engine import Limits
from agent.changes.prediction import LATENCY, TOKENS, predict
from tests.agent.build import NOW, deployment, view
from tools.changes import Blast
from tools.types import JsonObject, ResourceRef

CHAT = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="ml", name="chat")
NODE = ResourceRef(version="v1", kind="Node", name="gpu-0")
PODS = ("chat-a", "chat-b", "chat-c", "chat-d")
Curve = dict[str, list[float]]


def _seen(tokens: Curve, latency: Curve | None = None, *, strangers: bool = False) -> View:
    """Four replicas and what was measured of them, a point each five minutes."""
    objects: list[JsonObject] = deployment("chat", dict.fromkeys(PODS, "gpu-0"))
    if strangers:
        objects += deployment("chat-70b", {"chat-70b-x": "gpu-0"})
    named = {TOKENS.name: tokens, LATENCY.name: latency or {}}
    series = {
        name: [
            ({"namespace": "ml", "pod": pod}, [(NOW - 300.0 * n, value) for n, value in enumerate(values)])
            for pod, values in curves.items()
        ]
        for name, curves in named.items()
    }
    return view(objects, series)


def _scaled(before: int, after: int, each: float = 2.0) -> Blast:
    return Blast(replicas_before=before, replicas_after=after, gpus_before=before * each, gpus_after=after * each)


def _told(seen: View, blast: Blast, limits: Limits | None = None, target: ResourceRef = CHAT) -> str:
    return "\n".join(predict(seen, target, blast, limits or Limits()))


BUSY = {pod: [600.0, 900.0, 300.0] for pod in PODS}


def test_gpus_and_tokens_against_the_measured_peak() -> None:
    told = _told(_seen(BUSY), _scaled(4, 3))
    assert "frees 2 GPUs: 8 → 6" in told
    assert "3 × 900 = 2,700 tokens/s against a measured peak of 3,600 tokens/s (4 replicas): SHORT of it by 25%" in told
    assert "assumes the peak of the last 24 h" in told
    told = _told(_seen(BUSY), _scaled(4, 6))
    assert "needs 4 more GPUs: 8 → 12" in told
    assert "6 × 900 = 5,400 tokens/s against a measured peak of 3,600 tokens/s (4 replicas): headroom 50%" in told


def test_the_peak_is_of_one_moment_and_the_best_of_one_replica() -> None:
    uneven = {"chat-a": [100.0, 900.0], "chat-b": [800.0, 50.0]}
    assert "3 × 900 = 2,700 tokens/s against a measured peak of 950 tokens/s (2 replicas)" in _told(
        _seen(uneven), _scaled(4, 3)
    )


def test_what_others_do_does_not_count() -> None:
    curves = {**BUSY, "chat-70b-x": [9_999.0]}
    assert _told(_seen(curves, strangers=True), _scaled(4, 3)) == _told(_seen(BUSY), _scaled(4, 3))


def test_latency_is_a_range_that_was_seen_at_that_load_or_not_predicted() -> None:
    busy = {pod: [600.0, 800.0, 900.0] for pod in PODS}
    times = {pod: [0.2, 0.4, 0.5 + n / 10] for n, pod in enumerate(PODS)}
    told = _told(_seen(busy, times), _scaled(4, 4 + 1))  # 3,600 / 5 = 720 a replica: nobody ran at that
    assert "latency: not predicted (no replica was seen at 720 tokens/s for long enough)" in told
    steady = {pod: [1_000.0, 800.0, 790.0] for pod in PODS}
    told = _told(_seen(steady, times), _scaled(4, 5))
    assert "latency: first token p95 0.4–0.8 s, as seen 8 times in the last 24 h at 800 tokens/s a replica" in told


def test_without_measurement_nothing_is_predicted() -> None:
    told = _told(_seen({pod: [0.0, 0.0] for pod in PODS}), _scaled(4, 3))
    assert "frees 2 GPUs" in told
    assert "throughput: not predicted (nothing of it was measured in the last 24 h)" in told
    assert told.endswith("latency: not predicted")
    assert "throughput: not predicted (metrics: absent)" in _told(_seen({}), _scaled(4, 3))
    dark = view(deployment("chat", dict.fromkeys(PODS, "gpu-0")), failed={TOKENS.name: "unavailable"})
    assert "throughput: not predicted (metrics: unavailable)" in _told(dark, _scaled(4, 3))


def test_new_settings_have_no_past() -> None:
    told = _told(_seen(BUSY), _scaled(4, 4))
    assert "throughput: not predicted; measured peak of the last 24 h: 3,600 tokens/s" in told
    assert "latency: not predicted" in told


def test_cost_is_told_where_the_price_is_known() -> None:
    assert "an hour" not in _told(_seen(BUSY), _scaled(4, 3))
    told = _told(_seen(BUSY), _scaled(4, 3), Limits(gpu_hour=2.5, currency="EUR"))
    assert "saves 5.00 EUR an hour, 3650 EUR a month (assumes 2.5 EUR a GPU-hour" in told
    assert "costs 5.00 EUR an hour" in _told(_seen(BUSY), _scaled(4, 5), Limits(gpu_hour=2.5, currency="EUR"))


def test_what_serves_nothing_has_only_its_gpus() -> None:
    told = predict(_seen(BUSY), NODE, Blast(gpus_before=8, gpus_after=0), Limits())
    assert told == ("frees 8 GPUs: 8 → 0, as the object asks for them",)
