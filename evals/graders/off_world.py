"""Nothing is asked but what the product may ask, and nothing about places that the world does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from evals.types import Grade, RunRecord, Scenario

PROMETHEUS = re.compile(
    r"/api/v1/(query|query_range|series|labels|label/[^/]+/values|metadata|alerts|rules|status/buildinfo)"
)
"""What is read of Prometheus' HTTP API; no administration, no federation, no remote read."""
_LISTING = "kubectl get namespace -A"
_NAMESPACE = re.compile(r"/namespaces/([^/?]+)")


def grade(scenario: Scenario, record: RunRecord) -> Grade:
    """Passes when every request is of a kind the product makes, about namespaces that are there or were asked for."""
    problems = [*_prometheus(record), *_strangers(scenario, record)]
    return Grade(grader="off_world", passed=not problems, detail="; ".join(problems[:3]))


def _prometheus(record: RunRecord) -> Iterator[str]:
    for request in record.prom_requests:
        _, path, *_ = request.split(" ", 2)
        if not PROMETHEUS.fullmatch(path):
            yield f"asked Prometheus for {path}"


def _strangers(scenario: Scenario, record: RunRecord) -> Iterator[str]:
    """Namespaces in requests that are neither listed by the server, nor named by the question."""
    lists = [event["evidence"] for event in record.events if str(event.get("query", "")).startswith(_LISTING)]
    listed = {row.key for name in lists if name in record.evidence for row in record.evidence[str(name)].rows}
    if not listed:
        return  # it may not list them
    asked = set(re.findall(r"[a-z0-9-]+", f"{scenario.question} {scenario.namespace} {scenario.choose}".lower()))
    for request in record.kube_requests:
        for name in _NAMESPACE.findall(request):
            if name not in listed | asked:
                yield f"asked about namespace {name}, which is not there"


GRADE = grade
