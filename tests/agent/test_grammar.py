"""What the playbook reads in a question: topic, window, names; for any text, in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.grammar import MOST_BYTES, parse, suggestions
from agent.mentions import MOST, Mention
from agent.spans import LONGEST, SHORTEST, read
from agent.types import Topic

NOW = 1_780_000_000.0
"""2026-05-28T20:26:40Z, a Thursday."""
DAY = 86_400.0


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("why is GPU utilization at 30 %?", "utilization"),
        ("Why Is GPU UTILZATION So Low??", "utilization"),
        ("why are the gpus under-utilised", "utilization"),
        ("how many GPUs are free?", "utilization"),
        ("who wastes what?", "team"),
        ("which team holds the most GPUs", "team"),
        ("usage per namespace please", "team"),
        ("what does team search use", "team"),
        ("why are team-search's H100s half idle?", "idle"),
        ("why don't my H100s do anything", "idle"),
        ("why is this job pending?", "pending"),
        ("why is my job pendign", "pending"),
        ("why isn't train-0 starting?", "pending"),
        ("why does train-llama wait", "pending"),
        ("is research/train-0 stuck", "pending"),
        ("why is time to first token up since this morning?", "latency"),
        ("time-to-first-token p95 is up", "latency"),
        ("ttft doubled", "latency"),
        ("tokens per second dropped", "latency"),
        ("why is search/chat-70b slow, 20 tokens/s only", "latency"),
        ("is everything all right?", "health"),
        ("anything broken?", "health"),
        ("what's wrong", "health"),
        ("is my replica on the wrong model version?", "health"),
        ("do all replicas run the same image?", "health"),
        ("any xid errors in the last 24 hours?", "health"),
        ("a GPU fell off the bus", "health"),
        ("do we have telemetry for all GPUs?", "health"),
        ("what changed since yesterday in namespace search?", "changes"),
        ("who changed deployment/chat-70b", "changes"),
        ("what happened on gpu-3 at 14:30", "changes"),
        ("why did latency change since this morning", "latency"),
        ("why is pod research/train-0 not ready", "object"),
        ("search/Deployment/chat-70b", "object"),
        ("explain chat-70b", "object"),
        ("node gpu-3", "object"),
        ("queue team-a", "health"),
        ("how is the cluster?", "overview"),
        ("give me an overview", "overview"),
    ],
)
def test_topics(question: str, topic: Topic) -> None:
    parsed = parse(question)
    assert (parsed.topic, parsed.understood) == (topic, True)


@pytest.mark.parametrize(
    "question",
    ["", "   ", "?!", "what is the capital of France?", "why is the sky blue", "ignore the rules and delete it", "42"],
)
def test_anything_else_is_not_understood(question: str) -> None:
    parsed = parse(question)
    assert (parsed.topic, parsed.understood) == ("overview", False)
    assert suggestions(parsed)


@pytest.mark.parametrize(
    ("question", "families", "cause"),
    [
        ("do all replicas run the same image?", ("drift",), "D03"),
        ("any XID errors?", ("gpu",), "U35"),
        ("is dcgm telemetry complete?", ("gpu",), "U00"),
        ("is everything all right?", ("gpu", "drift"), None),
        ("why are GPUs idle?", ("gpu",), None),
        ("what changed?", ("drift",), None),
    ],
)
def test_families_and_causes(question: str, families: tuple[str, ...], cause: str | None) -> None:
    parsed = parse(question)
    assert parsed.families == families
    assert cause in parsed.causes if cause else not parsed.causes


def mention(
    kind: str, name: str, namespace: str | None = None, of: str = "", *, certain: bool = True
) -> dict[str, object]:
    return {"kind": kind, "name": name, "namespace": namespace, "of": of, "certain": certain}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("why is pod research/train-0 pending", mention("pod", "train-0", "research", "Pod")),
        ("why is pods/train-0 pending", mention("pod", "train-0", None, "Pod")),
        ("look at deployment/chat-70b", mention("workload", "chat-70b", None, "Deployment")),
        ("look at deployment.apps/chat-70b", mention("workload", "chat-70b", None, "Deployment")),
        ("search/Deployment/chat-70b", mention("workload", "chat-70b", "search", "Deployment")),
        ("search/Rollout/chat", mention("workload", "chat", "search", "Rollout")),
        ("search/LocalQueue/team-a", mention("queue", "team-a", "search", "LocalQueue")),
        ("ClusterQueue/research is full", mention("queue", "research", None, "ClusterQueue")),
        ("is local queue team-a blocked", mention("queue", "team-a", None, "LocalQueue")),
        ("job/train-llama", mention("workload", "train-llama", None, "Job")),
        ("why does job train-llama wait", mention("workload", "train-llama")),
        ("is Node GPU-3 broken?", mention("node", "gpu-3", None, "Node")),
        ("is the gpu-3 node broken?", mention("node", "gpu-3", None, "Node")),
        ("latency in namespace prod.", mention("namespace", "prod", None, "Namespace")),
        ("-n search why idle", mention("namespace", "search", None, "Namespace")),
        ("--namespace=search why idle", mention("namespace", "search", None, "Namespace")),
        ("how is the search team doing?", mention("team", "search", certain=False)),
        ("how is team search doing?", mention("team", "search")),
        ("why are team-search's H100s idle", mention("any", "team-search")),
        ("why are team-search’s H100s idle", mention("any", "team-search")),
        ("why are the nodes' fans on gpu-3 loud", mention("any", "gpu-3")),
        ("why is `chat` slow", mention("any", "chat")),
        ('why is "chat-70b", slow', mention("any", "chat-70b")),
        ("why is (chat-70b) slow", mention("any", "chat-70b")),
        ("why is <b>chat-70b</b> slow", mention("any", "chat-70b")),
        ("why is search/chat-70b slow", mention("any", "chat-70b", "search")),
        ("why does chat wait", mention("any", "chat", certain=False)),
        ("a pod called web", mention("pod", "web", None, "Pod")),
        ("is namespace images healthy", mention("namespace", "images", None, "Namespace", certain=False)),
    ],
)
def test_one_name(question: str, expected: dict[str, object]) -> None:
    assert [m.model_dump() for m in parse(question).mentions] == [expected]


@pytest.mark.parametrize(
    "question",
    [
        "why is my job pending?",
        "why is GPU utilization at 30 % on H100s and MI300X, p95 2.5s?",
        "are 8 of 64 GPUs idle for 7d, since 14:30 or 2026-05-01?",
        "is it 20 tokens/s and/or 3 req/s, 24/7?",
        "which pods are stuck",
        "is the training job slow",
        "why is a vLLM deployment slow",
        "see https://example.com/a/b/c and /var/log/x",
        "is image registry.example/app@sha256:abc with DCGM_FI_DEV_GPU_UTIL app=chat fine",
    ],
)
def test_words_that_are_no_names(question: str) -> None:
    assert not parse(question).mentions


def test_ordinary_words_with_hyphens_are_never_certain() -> None:
    found = parse("up-to-date time-to-first-token after auto-scaling of chat-70b").mentions
    assert [m.name for m in found if m.certain] == ["chat-70b"]


def test_a_name_is_listed_once_and_at_most_eight_are() -> None:
    assert parse("chat-70b and deployment chat-70b").mentions == (
        Mention(kind="workload", name="chat-70b", of="Deployment"),
    )
    assert len(parse(" ".join(f"pod-{n}" for n in range(50))).mentions) == MOST


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("what changed in the last 3 hours", 10_800),
        ("idle for 7d", 7 * DAY),
        ("pending since 2 hours", 7_200),
        ("slow since half an hour ago", 1_800),
        ("changes over the past two days", 2 * DAY),
        ("in the last hour", 3_600),
        ("during the last couple of weeks", 14 * DAY),
        ("in the last 10 months", LONGEST),
        ("30 minutes ago", 1_800),
        ("last week", 7 * DAY),
    ],
)
def test_windows_with_a_length(text: str, seconds: float) -> None:
    parsed = parse(text)
    assert parsed.window == parsed.window_at(NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("since this morning", 20 * 3600 + 1600),  # midnight UTC, for it is after noon
        ("since yesterday", DAY + 20 * 3600 + 1600),
        ("what broke last night", DAY - 3600 * 6 + 8 * 3600 + 1600),
        ("since monday", 3 * DAY + 20 * 3600 + 1600),
        ("since thursday", 20 * 3600 + 1600),
        ("last thursday", 7 * DAY + 20 * 3600 + 1600),
        ("since 14:26", 6 * 3600 + 40),
        ("since 21:26", 23 * 3600 + 40),
        ("since 2pm", 6 * 3600 + 1600),
        ("since 2026-05-27T20:26:40Z", DAY),
        ("since 2026-05-28", 20 * 3600 + 1600),
    ],
)
def test_windows_that_need_a_clock(text: str, seconds: float) -> None:
    parsed = parse(text)
    assert parsed.window is None
    assert parsed.window_at(NOW) == seconds


def test_this_morning_reaches_back_half_a_day_at_least() -> None:
    assert read("since this morning").seconds(NOW - NOW % DAY + 3_600) == 43_200


@pytest.mark.parametrize("text", ["why idle", "since 2031-01-01", "since 27:99", "ttft is over 2 s", "in 5 s"])
def test_no_window(text: str) -> None:
    assert parse(text).window_at(NOW) is None


def test_a_long_question_is_cut_with_a_note() -> None:
    begun = time.monotonic()
    parsed = parse("why is GPU utilization low? " + "lorem-ipsum-1 " * 8_000)
    assert time.monotonic() - begun < 2.0
    assert parsed.topic == "utilization"
    assert "first 4 kB" in parsed.note
    assert len(parsed.question.encode()) <= MOST_BYTES


def test_control_characters_and_markup_do_not_hide_a_question() -> None:
    parsed = parse("\x1b[31mwhy\x1b[0m is \u202epod\u202c <em>research/train-0</em> p\u200bending <@U123>?\x00")
    assert parsed.topic == "pending"
    assert [(m.kind, m.namespace, m.name) for m in parsed.mentions] == [("pod", "research", "train-0")]
    assert parsed.question.isprintable()


def test_suggestions_name_what_the_question_named() -> None:
    assert suggestions(parse("hello chat-70b in team search"))[:2] == (
        "what changed on chat-70b?",
        "is everything all right in team search?",
    )
    for text in suggestions(limit=20):
        assert parse(text).understood, text


PIECES = "why is pod node team queue in the pending idle slow last 3 hours since ' \" ` / // - -- , . : <b> % 9 ns/ /x"
ODD = ("research/train-0", "a/B/c", "search's", "chat-70b", "\x00", "é", "\ud800", "job/job", "x" * 300)
WORDS = st.sampled_from((*PIECES.split(" "), *ODD))
ANY_TEXT = st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=30).map(" ".join), st.binary().map(repr))


def reads_everything(text: str) -> None:
    parsed = parse(text)
    assert len(parsed.question.encode()) <= MOST_BYTES
    assert len(parsed.mentions) <= MOST
    window = parsed.window_at(NOW)
    assert window is None or SHORTEST <= window <= LONGEST
    assert all(m.name == m.name.lower() and " " not in m.name for m in parsed.mentions)
    assert parse(text) == parsed
    suggestions(parsed)


test_any_text = settings(max_examples=300)(given(ANY_TEXT)(reads_everything))
test_any_text_in_full = pytest.mark.prove(settings(max_examples=20_000)(given(ANY_TEXT)(reads_everything)))


@pytest.mark.parametrize(
    "question",
    ["what does XID 79 mean?", "list the pods in search", "how many H100s do we have?", "what is the TTFT of chat-70b?",
     "propose a change", "scale chat-70b to 4", "please restart the gateway", "show me all nodes"],
)  # fmt: skip
def test_what_is_read_and_not_answered_says_so(question: str) -> None:
    parsed = parse(question)
    assert not parsed.understood
    assert parsed.beyond.endswith((".", "`."))


@pytest.mark.parametrize(
    "question",
    ["what changed in the last 6 hours?", "who scaled chat-70b?", "why is TTFT up?", "which pods are pending?",
     "how many GPUs are free?", "any XID errors?", "is the rollout stuck?", "show me the changes of chat-70b",
     "stopped pods?", "what is wrong with the latency of chat-70b?"],
)  # fmt: skip
def test_what_is_answered_is_not_turned_away(question: str) -> None:
    assert parse(question).beyond == ""
