"""Endpoint pickers: what the picker of each InferencePool exports about its pool.

Source: kubernetes-sigs/gateway-api-inference-extension pkg/epp/metrics (1.5). Averages and rates are those of the
pool's own pods, so the picker and the engines tell one story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from evals.world import generators as g
from evals.world.exporters.context import Context, PodRecord
from evals.world.exporters.rows import ZERO, Row, Rows, name_of
from evals.world.manifests import mapping, text
from evals.world.series import Entry, Families
from tools.types import JsonObject


def _pools(context: Context) -> Iterator[tuple[JsonObject, list[PodRecord]]]:
    for pool in context.kind("InferencePool", "inference.networking.k8s.io"):
        wanted = mapping(pool, "spec", "selector", "matchLabels")
        namespace = text(pool, "metadata", "namespace")
        yield (
            pool,
            [
                pod
                for pod in context.pods
                if pod.namespace == namespace and wanted.items() <= pod.labels.items() and pod.phase == "Running"
            ],
        )


def gauges(context: Context) -> Families:
    """Averages over the pool's own pods, so that the picker and the engines tell one story."""
    gaps = context.option("epp").at("gaps").windows()

    def average(signal: str) -> Callable[[], Iterator[Entry]]:
        def made() -> Iterator[Entry]:
            for pool, pods in _pools(context):
                if pods:
                    parts = tuple(_of_pod(context, pod, signal) for pod in pods)
                    value = g.Linear(g.Sum(parts), 1 / len(parts))
                    yield Entry(_pool(pool), value, 0, None, None, gaps)

        return made

    def per_pod() -> Iterator[Entry]:
        for pool, pods in _pools(context):
            for pod in pods:
                labels = {**_pool(pool), "model_server_pod": pod.name}
                yield Entry(labels, _of_pod(context, pod, "vllm.waiting"), 0, pod.started, pod.finished, gaps)

    return {
        "inference_pool_average_kv_cache_utilization": average("vllm.kv"),
        "inference_pool_average_queue_size": average("vllm.waiting"),
        "inference_pool_per_pod_queue_size": per_pod,
    }


def _of_pod(context: Context, pod: PodRecord, signal: str) -> g.Generator:
    signals = context.signals(pod)
    return g.Bound(signals.get(signal), pod.seed, signals.values)


def _pool(pool: JsonObject) -> dict[str, str]:
    namespace, name = text(pool, "metadata", "namespace"), name_of(pool)
    return {"name": name, "namespace": namespace, "job": f"{name}-epp"}


def _ready_pods(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        yield _pool(pool), g.Constant(float(len(pods)))


def _attempts(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        for pod in pods:
            rate = _of_pod(context, pod, "vllm.rps")
            yield {**_pool(pool), "status": "success", "pod_name": pod.name}, g.Counter(rate, whole=True)


def _requests(context: Context) -> Iterator[Row]:
    for pool, pods in _pools(context):
        if pods:
            labels = {**_pool(pool), "model_name": name_of(pool), "target_model_name": name_of(pool)}
            rate = g.Sum(tuple(_of_pod(context, pod, "vllm.rps") for pod in pods))
            yield labels, g.Counter(rate, whole=True)


def _request_errors(context: Context) -> Iterator[Row]:
    for pool, _ in _pools(context):
        labels = {**_pool(pool), "model_name": name_of(pool), "target_model_name": name_of(pool)}
        yield {**labels, "error_code": "ResourceExhausted"}, ZERO


EPP: dict[str, Rows] = {
    "inference_pool_ready_pods": _ready_pods,
    "inference_extension_scheduler_attempts_total": _attempts,
    "inference_objective_request_total": _requests,
    "inference_objective_request_error_total": _request_errors,
}
