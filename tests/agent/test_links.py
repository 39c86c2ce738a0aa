"""Links in a model's words: what goes, what an honest answer needs and keeps, and that it takes no time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.links import MAX_TEXT, REMOVED, fold, strip

KEPT = (
    "kueue.x-k8s.io/v1beta2 and serving.kserve.io are API groups, apps/v1 is one too",
    "8 nvidia.com/gpu, i.e. all of them; e.g. nvidia.com/gpu: 8 (nvidia.com/gpu)",
    "v1.36.0 or 1.36.0 at 0.43, 35.5 % and 12.5ms, 3/12 pods, 16:05:00Z, 2026-03-02T14:05:00Z",
    "vllm:kv_cache_usage_perc of search/chat-70b is high; kube_pod_info{namespace=\"search\"} says so",
    "set --max-num-seqs=256 and spec.template.spec.nodeSelector, or status.readyReplicas",
    "kubectl get deployment.apps -A shows <none>; jobset.jobset.x-k8s.io is served",
    "CPU/GPU, and/or, n/a, tokens/s, I/O, 24/7, a:b, x=y, (see above), \"quoted\", it's, end...",
    "temperature < 80 and > 20; a -> b → c; 5 * 3; 100%; #3; ~40; [1]; {x}",
    "node.kubernetes.io/unschedulable:NoSchedule",
)  # fmt: skip
GONE = (
    "https://a.example", "HTTPS://A.EXAMPLE", "hxxps://a.example", "https:a.example", "//a.example", "www.a.example",
    "a.example", "a.example/path", "a.example:80", "a@b.example", "@channel", "javascript:x", "data:text/html,x",
    "mailto:a@b", "10.0.0.1", "10.0.0.1:80/x", "[::1]:80", "localhost:80", "<@U12345>", "<!here>", "<https://a.example|x>",
    "[x](y)", "![x](y)", "<b>", "<img", "a%2eexample", "a&#46;example", "a。example", "a[.]example", "a(dot)example",
    "\\\\a.example\\x", "script.py", "xn--a.example", "href=x.example", "а.ехаmрlе",
)  # fmt: skip


@pytest.mark.parametrize("text", KEPT)
def test_words_of_the_field_stay(text: str) -> None:
    assert strip(text) == (text, 0)


@pytest.mark.parametrize("word", GONE)
def test_what_a_surface_could_link_goes(word: str) -> None:
    text, count = strip(f"see {word} now")
    assert text == f"see {REMOVED} now"
    assert count == 1


def test_an_identifier_of_the_evidence_stays_only_where_it_is_exactly_equal() -> None:
    allowed = {"registry.example/app:v1", "ip-10-0-0-7.ec2.internal", "a.example/x?q=y", "http://b.example"}
    kept = "registry.example/app:v1, on ip-10-0-0-7.ec2.internal (registry.example/app:v1)."
    assert strip(kept, allowed) == (kept, 0)
    for other in (
        "registry.example/app:v2",
        "registry.example",
        "x.registry.example/app:v1",
        "registry.example/app:v1/x",
    ):
        assert strip(other, allowed) == (REMOVED, 1)
    assert strip("a.example/x?q=y http://b.example", allowed)[1] == 2, "no identifier has a query or a scheme"


def test_a_full_stop_without_its_space_gets_one() -> None:
    assert strip("it is idle.The rest is busy") == ("it is idle. The rest is busy", 0)
    assert strip("see a.example.The rest")[0] == f"see {REMOVED} rest"


def test_folding_undoes_what_hides_a_host() -> None:
    assert fold("ｈｔｔｐｓ：／／É%252Evil") == "https://e.vil"
    assert fold("a\u200b&period;b") == "a.b"


@pytest.mark.parametrize(
    "unit", ["<", "[", "[](", "a.", ":", "@", "%", "&#", "http:", "<a ", "[a]: ", "((((", "a.b ", "\u200b", "<a href="]
)
def test_time_is_linear(unit: str) -> None:
    begun = time.process_time()
    strip(unit * (2 * MAX_TEXT // len(unit)))
    assert time.process_time() - begun < 1.0


@settings(max_examples=300)
@given(st.text(max_size=80))
def test_stripping_twice_changes_nothing_more(text: str) -> None:
    once, _ = strip(text)
    assert strip(once) == (once, 0)
