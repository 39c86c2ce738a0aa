"""Servers that refuse, hang, lie or are not there: the answer goes on where it can, and says what it lacks."""

from __future__ import annotations

import socket

import pytest

from evals.world.load import load
from evals.world.model import Access, Clock, World
from tests.cli.conftest import QUESTION, Command, Done, Serve
from tools.types import JsonObject


def closed_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_expired_token(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "", "status": 401})
    done = plumbline("ask", *site.flags, QUESTION)
    assert done.code == 2
    assert "log in again" in done.line


def test_an_api_server_that_is_not_there(plumbline: Command, serve: Serve) -> None:
    site = serve()
    path = site.kubeconfig
    path.write_text(path.read_text().replace(str(site.kube.port), str(closed_port())))
    done = plumbline("ask", *site.flags, QUESTION)
    assert done.code == 2
    assert "no answer from the API server at http://127.0.0.1:" in done.line
    assert "plumbline doctor" in done.line


def test_an_api_server_that_hangs(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "", "hang": True})
    done = plumbline("ask", *site.flags, "--request-timeout", "1s", QUESTION)
    assert done.code == 2
    assert "did not answer" in done.line


def test_something_else_in_place_of_the_api_server(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "", "html": True})
    done = plumbline("ask", *site.flags, QUESTION)
    assert done.code == 2
    assert "API server" in done.line


def test_a_forbidden_kind_is_named_and_the_answer_goes_on(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "kube", "match": "/horizontalpodautoscalers", "status": 403})
    done = plumbline("ask", *site.flags, "-o", "json", QUESTION)
    assert done.code == 0
    assert done.answer.findings == []
    assert any("denied" in m.because for m in done.answer.missing)
    assert done.answer.status == "inconclusive"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503, "body": "upstream connect error"},
        {"status": 429, "retry_after": 1},
        {"status": 403, "body": "no"},
    ],
    ids=["503", "429", "403"],
)
def test_a_prometheus_that_is_down_costs_its_part_of_the_answer_only(
    plumbline: Command, serve: Serve, fault: JsonObject
) -> None:
    site = serve("hpa-cpu", {"server": "prom", "match": "", **fault})
    done = plumbline("ask", *site.flags, "-o", "json", QUESTION)
    assert done.code == 0
    assert "note: no metrics" in done.err
    assert_without_metrics(done)


def assert_without_metrics(done: Done) -> None:
    """Objects alone may tell a cause; no number was measured, and that is said."""
    (unread,) = [m for m in done.answer.missing if m.need == "metrics"]
    assert unread.because.startswith("not read: Prometheus at ")
    assert {item.source for item in done.answer.evidence} <= {"kubernetes", "derived"}


def test_a_prometheus_that_is_not_there(plumbline: Command, serve: Serve) -> None:
    site = serve()
    flags = ("--kubeconfig", str(site.kubeconfig), "--prometheus", f"http://127.0.0.1:{closed_port()}")
    done = plumbline("ask", *flags, "-o", "json", QUESTION)
    assert done.code == 0
    assert "no answer from Prometheus" in done.err
    assert_without_metrics(done)


def test_a_login_page_in_place_of_prometheus(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "prom", "match": "", "html": True})
    done = plumbline("ask", *site.flags, QUESTION)
    assert done.code == 2
    assert "HTML" in done.err


def test_a_prometheus_that_refuses_our_queries(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "prom", "match": "DCGM", "status": 422, "body": '{"status":"error"}'})
    done = plumbline("ask", *site.flags, "-o", "json", QUESTION)
    assert done.code == 0
    assert any("422" in m.because for m in done.answer.missing)


def test_partial_data_is_never_taken_for_all_of_it(plumbline: Command, serve: Serve) -> None:
    site = serve("hpa-cpu", {"server": "prom", "match": "", "warnings": ["store gateway 3 did not answer"]})
    done = plumbline("ask", *site.flags, "-o", "json", QUESTION)
    assert done.code == 0
    assert any("store gateway 3" in m.because for m in done.answer.missing)


def test_no_prometheus_at_all(plumbline: Command, serve: Serve) -> None:
    done = plumbline("ask", "--kubeconfig", str(serve().kubeconfig), "-o", "json", QUESTION)
    assert done.code == 0
    assert "note: no metrics" in done.err
    assert "--prometheus" in done.err


def service(name: str, labels: JsonObject) -> JsonObject:
    """A Service in `monitoring` with Prometheus's usual port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "monitoring", "labels": labels},
        "spec": {"ports": [{"name": "http-web", "port": 9090}]},
    }


def test_a_prometheus_in_the_cluster_is_found_and_how_to_reach_it_is_said(plumbline: Command, serve: Serve) -> None:
    world = load("hpa-cpu")
    world.objects = [o for o in world.objects if o["kind"] != "Service"]
    world.objects.append(service("prometheus-k8s", {"app.kubernetes.io/name": "prometheus"}))
    done = plumbline("ask", "--kubeconfig", str(serve(world).kubeconfig), QUESTION)
    assert done.code == 0
    assert "found Service monitoring/prometheus-k8s" in done.err
    assert "kubectl -n monitoring port-forward svc/prometheus-k8s 9090:9090" in done.err


class NoSeries:
    """A Prometheus that has scraped nothing."""

    def select(self, *_: object) -> list[object]:
        return []

    def label_sets(self, *_: object) -> list[object]:
        return []


def test_an_empty_cluster(plumbline: Command, serve: Serve) -> None:
    world = World("empty", "", Clock(1_778_594_400.0), "1.36", "3.x", [], NoSeries())  # type: ignore[arg-type]
    site = serve(world)
    for command in (["diagnose"], ["ask", "is everything all right?"], ["ask", "why are our GPUs idle?"]):
        done = plumbline(*command, *site.flags, "-o", "json")
        assert done.code == 0
        assert done.answer.findings == []
    unknown = plumbline("ask", *site.flags, QUESTION)
    assert unknown.code == 2
    assert "no team named 'search'" in unknown.err


def test_objects_with_null_lists_missing_fields_and_odd_types(plumbline: Command, serve: Serve) -> None:
    world = load("hpa-cpu")
    odd: list[JsonObject] = [
        {"spec": {"containers": None, "nodeName": 7}, "status": None},
        {"spec": {"containers": [None, {"name": None, "resources": {"limits": None}}]}},
        {"spec": {}, "status": {"phase": 3, "conditions": "none", "containerStatuses": [None]}},
    ]
    for index, broken in enumerate(odd):
        meta: JsonObject = {"name": f"odd-{index}", "namespace": "search", "annotations": {"x": 5}, "labels": None}
        world.objects.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, **broken})
    done = plumbline("diagnose", *serve(world).flags, "-o", "json")
    assert done.code == 0
    assert "U13" in {f.cause for f in done.answer.findings}


def test_a_principal_sees_only_the_namespaces_he_may_read(plumbline: Command, serve: Serve) -> None:
    world = load("hpa-cpu")
    read: JsonObject = {
        "verbs": ["get", "list", "watch"],
        "apiGroups": ["*"],
        "resources": ["*"],
        "namespaces": ["research"],
    }
    world.access = Access(tokens={"narrow": ("ana", ())}, rules={"ana": [read]})
    done = plumbline("diagnose", *serve(world).flags, "-n", "research", "-o", "json")
    assert done.code == 0
    assert done.answer.scope.permitted == ["research"]
    assert "chat-70b" not in done.out


def test_incident_mode_refuses_credentials_that_can_write(plumbline: Command, serve: Serve) -> None:
    site = serve()
    done = plumbline("ask", *site.flags, "--mode", "incident", QUESTION)
    assert done.code == 2
    assert "incident mode needs read-only credentials" in done.line
    assert plumbline("ask", *site.flags, "--mode", "incident", "--accept-writable-credentials", QUESTION).code == 0
    warned = plumbline("ask", *site.flags, QUESTION)
    assert warned.code == 0
    assert warned.err.count("Plumbline only reads") == 1


def test_an_answer_looks_from_the_time_it_is_told(plumbline: Command, serve: Serve) -> None:
    site = serve()
    done = plumbline("ask", *site.flags, "--at", "2026-01-01T00:00:00Z", "-o", "json", QUESTION)
    assert done.code == 0
    assert {item.observedAt[:16] for item in done.answer.evidence} == {"2026-01-01T00:00"}
