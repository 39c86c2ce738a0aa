"""vLLM V1 model servers: gauges, counters and latency histograms of each engine.

Source: vllm-project/vllm vllm/v1/metrics/loggers.py (names, labels `model_name` and `engine`, bucket edges). One
arrival rate drives requests, tokens and every histogram of an engine, so they always agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from evals.world import generators as g
from evals.world.exporters.context import Context, PodRecord, argument, is_vllm
from evals.world.latency import Histogram
from evals.world.manifests import entries, text
from evals.world.profiles import Signals
from evals.world.series import Entry, Families

TTFT_EDGES = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
ITL_EDGES = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
REQUEST_EDGES = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0),
    *(40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
LENGTH_EDGES = tuple(float(m * 10**e) for e in range(5) for m in (1, 2, 5))
"""1, 2, 5, 10 … 50,000 tokens (build_1_2_5_buckets)."""

GAUGES = {
    "vllm:num_requests_running": ("running", True),
    "vllm:num_requests_waiting": ("waiting", True),
    "vllm:kv_cache_usage_perc": ("kv", False),
}
HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": (TTFT_EDGES, "ttft", ""),
    "vllm:inter_token_latency_seconds": (ITL_EDGES, "itl", "generation_tokens"),
    "vllm:request_time_per_output_token_seconds": (ITL_EDGES, "itl", ""),
    "vllm:e2e_request_latency_seconds": (REQUEST_EDGES, "e2e", ""),
    "vllm:request_queue_time_seconds": (REQUEST_EDGES, "queue", ""),
    "vllm:request_prefill_time_seconds": (REQUEST_EDGES, "prefill", ""),
    "vllm:request_decode_time_seconds": (REQUEST_EDGES, "decode", ""),
    "vllm:request_prompt_tokens": (LENGTH_EDGES, "prompt_length", ""),
    "vllm:request_generation_tokens": (LENGTH_EDGES, "generation_length", ""),
}
"""Name → (edges, distribution, what multiplies the request rate: tokens for per-token histograms)."""


class Engine:
    """One serving pod with its labels and signals."""

    def __init__(self, context: Context, pod: PodRecord) -> None:
        self.pod, self.signals = pod, context.signals(pod)
        container = next((c for c in pod.containers if "vllm" in text(c, "image")), pod.containers[0])
        self.container = container
        served = argument(container, "--served-model-name") or argument(container, "--model") or "model"
        self.model = self.signals.model or served
        labels = {
            "model_name": self.model,
            "engine": "0",
            "namespace": pod.namespace,
            "pod": pod.name,
            "container": text(container, "name"),
            "job": f"{pod.namespace}/vllm",
            "instance": f"{text(pod.body, 'status', 'podIP')}:8000",
        }
        ready = next(
            (
                c
                for c in entries(pod.body, "status", "conditions")
                if text(c, "type") == "Ready" and text(c, "status") == "True"
            ),
            None,
        )
        begins = context.offset(ready.get("lastTransitionTime")) if ready is not None else pod.started
        gaps = context.option("vllm").at("gaps").windows()
        self.template = Entry(labels, g.Constant(0.0), pod.seed, begins, pod.finished, gaps, 0.0, self.signals.values)

    def entry(self, value: g.Generator, **labels: str) -> Entry:
        """A series of this engine."""
        return replace(self.template, labels={**self.template.labels, **labels}, value=value)


def families(context: Context) -> Families:
    """The families of all vLLM engines, by metric name."""
    if context.option("vllm").at("off").flag(default=False):
        return {}
    engines: list[Engine] = []

    def all_engines() -> list[Engine]:
        if not engines:
            engines.extend(
                Engine(context, pod)
                for pod in context.pods
                if pod.phase in ("Running", "Succeeded", "Failed") and pod.started is not None and is_vllm(pod)
            )
        return engines

    def family(rows: Callable[[Engine], Iterator[Entry]]) -> Callable[[], Iterator[Entry]]:
        return lambda: (entry for engine in all_engines() for entry in rows(engine))

    out: Families = {name: family(rows) for name, rows in _SIMPLE.items()}
    for name, (signal, whole) in GAUGES.items():
        out[name] = family(_gauge(signal, whole=whole))
    for name, (signal, scale) in _COUNTERS.items():
        out[name] = family(_counter(signal, scale))
    for name, (edges, latency, per) in HISTOGRAMS.items():
        for suffix in ("_bucket", "_sum", "_count"):
            out[name + suffix] = family(_histogram(Histogram(name, edges), suffix, latency, per))
    return out


def _gauge(signal: str, *, whole: bool) -> Callable[[Engine], Iterator[Entry]]:
    def rows(engine: Engine) -> Iterator[Entry]:
        high = 1.0 if signal == "kv" else float("inf")
        yield engine.entry(g.Clamp(engine.signals.get(f"vllm.{signal}"), 0.0, high, whole))

    return rows


def rate(signals: Signals) -> g.Generator:
    """Requests finished a second."""
    return signals.get("vllm.rps")


def _per_request(signals: Signals, what: str) -> g.Generator:
    """The rate times a count per request (a constant keeps the closed form)."""
    count = signals.get(f"vllm.{what}")
    if isinstance(count, g.Constant):
        return g.Linear(rate(signals), count.value)
    return g.Product((rate(signals), count))


_COUNTERS = {
    "vllm:num_preemptions_total": ("preemptions", None),
    "vllm:prompt_tokens_total": ("prompt_tokens", 1.0),
    "vllm:generation_tokens_total": ("generation_tokens", 1.0),
    "vllm:prefix_cache_queries_total": ("prompt_tokens", 1.0),
}
"""Name → (signal, 1.0 for a count per request, None for a rate of its own)."""


def _counter(signal: str, per_request: float | None) -> Callable[[Engine], Iterator[Entry]]:
    def rows(engine: Engine) -> Iterator[Entry]:
        own = engine.signals.get(f"vllm.{signal}")
        yield engine.entry(g.Counter(own if per_request is None else _per_request(engine.signals, signal), whole=True))

    return rows


def _hits(engine: Engine) -> Iterator[Entry]:
    share = engine.signals.get("vllm.prefix_hits")
    tokens = _per_request(engine.signals, "prompt_tokens")
    hits = g.Linear(tokens, share.value) if isinstance(share, g.Constant) else g.Product((tokens, share))
    yield engine.entry(g.Counter(hits, whole=True))


def _success(engine: Engine) -> Iterator[Entry]:
    aborted, truncated = engine.signals.get("vllm.aborted"), engine.signals.get("vllm.truncated")
    rest = g.Sum((g.Constant(1.0), g.Linear(aborted, -1.0), g.Linear(truncated, -1.0)))
    for reason, share in (("stop", rest), ("length", truncated), ("abort", aborted)):
        value: g.Generator = g.Product((rate(engine.signals), share))
        fixed = _fixed(share)
        if fixed is not None:
            value = g.Linear(rate(engine.signals), fixed)
        yield engine.entry(g.Counter(value, whole=True), finished_reason=reason)
    yield engine.entry(g.Counter(g.Constant(0.0), whole=True), finished_reason="error")


def _fixed(generator: g.Generator) -> float | None:
    if isinstance(generator, g.Constant):
        return generator.value
    if isinstance(generator, g.Linear):
        inner = _fixed(generator.of)
        return None if inner is None else generator.offset + generator.scale * inner
    if isinstance(generator, g.Sum):
        parts = [_fixed(part) for part in generator.parts]
        return None if None in parts else sum(part for part in parts if part is not None)
    return None


def _by_reason(engine: Engine) -> Iterator[Entry]:
    for reason, signal in (("capacity", "waiting"), ("deferred", "deferred")):
        yield engine.entry(g.Clamp(engine.signals.get(f"vllm.{signal}"), 0.0, whole=True), reason=reason)


def _cache_config(engine: Engine) -> Iterator[Entry]:
    args = engine.container.get("args")
    caching = "False" if isinstance(args, list) and "--no-enable-prefix-caching" in args else "True"
    yield engine.entry(
        g.Constant(1.0),
        block_size=argument(engine.container, "--block-size") or "16",
        cache_dtype=argument(engine.container, "--kv-cache-dtype") or "auto",
        enable_prefix_caching=caching,
        gpu_memory_utilization=argument(engine.container, "--gpu-memory-utilization") or "0.9",
        num_gpu_blocks="27546",
        num_cpu_blocks="None",
        sliding_window="None",
    )


def _lora(engine: Engine) -> Iterator[Entry]:
    yield engine.entry(g.Moment(0.0), max_lora="0", running_lora_adapters="", waiting_lora_adapters="")


_SIMPLE: dict[str, Callable[[Engine], Iterator[Entry]]] = {
    "vllm:prefix_cache_hits_total": _hits,
    "vllm:request_success_total": _success,
    "vllm:num_requests_waiting_by_reason": _by_reason,
    "vllm:cache_config_info": _cache_config,
    "vllm:lora_requests_info": _lora,
}


def _histogram(histogram: Histogram, suffix: str, latency: str, per: str) -> Callable[[Engine], Iterator[Entry]]:
    def rows(engine: Engine) -> Iterator[Entry]:
        arrivals = _per_request(engine.signals, per) if per else rate(engine.signals)
        yield from histogram.entries(suffix, arrivals, engine.signals.latencies[latency], engine.template)

    return rows
