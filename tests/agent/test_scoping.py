"""From names in a question and the flags beside it to one scope, a choice, or a plain error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.analysis import kinds
from agent.analysis.view import View
from agent.grammar import parse
from agent.names import Names, QueueName, names_of
from agent.scoping import MOST_CANDIDATES, Choice, Resolved, needs_names, resolve
from tests.agent.build import evidence, node, pod, view, workload
from tools.errors import SettingsError, UnknownName, UserError
from tools.types import JsonObject, KindRef, ResourceRef, Scope, ToolCall


def ref(kind: KindRef, namespace: str, name: str) -> ResourceRef:
    return ResourceRef(group=kind.group, kind=kind.kind, namespace=namespace, name=name)


HASH = "7d9f8c6b5"
NAMES = Names(
    namespaces={
        "search": {"team": "search"},
        "search-dev": {"team": "search"},
        "research": {"team": "science"},
        "prod": {},
        "vision": {"team": "eyes"},
        "lonely": {},
    },
    nodes=("gpu-0", "gpu-3", "vision"),
    local_queues=(
        QueueName(namespace="research", name="team-a", cluster_queue="big"),
        QueueName(namespace="prod", name="nightly", cluster_queue="big"),
    ),
    cluster_queues=("big", "unused"),
    workloads=(
        ref(kinds.DEPLOYMENT, "search", "chat-70b"),
        ref(kinds.HPA, "search", "chat-70b"),
        ref(kinds.REPLICA_SET, "search", f"chat-70b-{HASH}"),
        ref(kinds.POD, "search", f"chat-70b-{HASH}-x2k4q"),
        ref(kinds.POD, "search", f"chat-70b-{HASH}-zzzzz"),
        ref(kinds.DEPLOYMENT, "search", "web"),
        ref(kinds.DEPLOYMENT, "prod", "web"),
        ref(kinds.TRAIN_JOB, "research", "llama"),
        ref(kinds.JOB_SET, "research", "llama"),
        ref(kinds.POD, "research", "train-0"),
        ref(kinds.POD, "research", "train-1"),
        ref(kinds.DEPLOYMENT, "prod", "vision"),
        ref(kinds.POD, "prod", "render-0"),
        ref(kinds.POD, "prod", "render-1"),
    ),
    team_map={"mapped": ("prod", "vision")},
)


def outcome(
    question: str,
    names: Names = NAMES,
    *,
    flag: str | None = None,
    everywhere: bool = False,
    permitted: tuple[str, ...] | None = None,
) -> Resolved | Choice:
    return resolve(
        parse(question),
        names,
        namespace_flag=flag,
        all_namespaces=everywhere,
        selector="",
        permitted=permitted,
    )


def asked(question: str, flag: str | None = None) -> str:
    found = outcome(question, flag=flag)
    assert isinstance(found, Resolved), found
    return found.scope.asked


def namespaces(question: str) -> tuple[str, ...] | None:
    found = outcome(question)
    assert isinstance(found, Resolved), found
    return found.scope.namespaces


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("why are GPUs idle?", "cluster"),
        ("why is search/chat-70b slow", "search/Deployment/chat-70b"),
        ("why is chat-70b slow", "search/Deployment/chat-70b"),
        ("why is Chat-70B slow", "search/Deployment/chat-70b"),
        ("is hpa chat-70b all right", "search/HorizontalPodAutoscaler/chat-70b"),
        ("why is pod research/train-0 pending", "research/Pod/train-0"),
        ("why is pod train-0 pending on node gpu-3", "research/Pod/train-0"),
        ("why is pod chat-70b pending", "search/Deployment/chat-70b"),
        (f"why is chat-70b-{HASH}-x2k4q slow", f"search/Pod/chat-70b-{HASH}-x2k4q"),
        (f"why is pod chat-70b-{HASH}-b2b2b gone", "search/Deployment/chat-70b"),
        ("why is job llama stuck", "research/TrainJob/llama"),
        ("why is jobset/llama stuck", "research/JobSet/llama"),
        ("why does llama wait", "research/TrainJob/llama"),
        ("is node gpu-3 broken", "node gpu-3"),
        ("is gpu-3 broken", "node gpu-3"),
        ("is web in namespace prod slow", "prod/Deployment/web"),
        ("is web in prod slow", "prod/Deployment/web"),
        ("idle GPUs in namespace prod and namespace lonely", "namespaces prod, lonely"),
        ("why is queue team-a full", "research/LocalQueue/team-a"),
        ("why is cluster queue big full", "ClusterQueue/big"),
        ("is france in a word", "cluster"),
    ],
)
def test_the_thing_asked_about(question: str, subject: str) -> None:
    assert asked(question) == subject


def test_a_subject_is_read_in_its_own_namespace() -> None:
    found = outcome("why is chat-70b slow")
    assert isinstance(found, Resolved)
    assert found.scope.namespaces == ("search",)
    assert found.scope.subject == ref(kinds.DEPLOYMENT, "search", "chat-70b")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("how is team mapped doing", ("prod", "vision")),
        ("how is team search doing", ("search", "search-dev")),
        ("how is team team-search doing", ("search", "search-dev")),
        ("how are team-search's GPUs doing", ("search", "search-dev")),
        ("how is team team-a doing", ("research",)),
        ("how is team big doing", ("prod", "research")),
        ("how is team lonely doing", ("lonely",)),
        ("queue big", ("prod", "research")),
        ("queue unused", None),
    ],
)
def test_a_team_is_a_mapping_a_label_a_queue_a_namespace_in_this_order(
    question: str, expected: tuple[str, ...] | None
) -> None:
    assert namespaces(question) == expected


def test_settings_come_before_labels_and_labels_before_namespaces() -> None:
    mapped = NAMES.model_copy(update={"team_map": {"search": ("prod",)}})
    found = outcome("how is team search doing", mapped)
    assert isinstance(found, Resolved)
    assert found.scope.namespaces == ("prod",)
    relabelled = NAMES.model_copy(
        update={"team_label": "owner", "namespaces": {"lonely": {}, "prod": {"owner": "lonely"}}}
    )
    found = outcome("how is team lonely doing", relabelled)
    assert isinstance(found, Resolved)
    assert found.scope.namespaces == ("prod",)


@pytest.mark.parametrize(
    ("question", "candidates"),
    [
        ("is web slow", ("prod/Deployment/web", "search/Deployment/web")),
        ("is deployment web slow", ("prod/Deployment/web", "search/Deployment/web")),
        ("how is search doing", ("team search", "namespace search")),
        ("what about vision", ("namespace vision", "node vision", "prod/Deployment/vision")),
        ("are train-0 and train-1 pending", ("research/Pod/train-0", "research/Pod/train-1")),
        ("why is pod render pending", ("prod/Pod/render-0", "prod/Pod/render-1")),
    ],
)
def test_several_meanings_are_asked(question: str, candidates: tuple[str, ...]) -> None:
    found = outcome(question)
    assert isinstance(found, Choice)
    assert found.candidates == candidates
    assert found.prompt
    for candidate, scope in zip(found.candidates, found.scopes, strict=True):
        again = outcome(candidate)
        assert isinstance(again, Resolved), candidate
        assert again.scope == scope


def test_a_long_choice_is_cut_and_says_so() -> None:
    pods = tuple(ref(kinds.POD, "search", f"ray-{n}") for n in range(50))
    found = outcome("why is pod ray stuck", Names(workloads=pods))
    assert isinstance(found, Choice)
    assert len(found.candidates) == MOST_CANDIDATES
    assert "20 of 50" in found.prompt


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("is node gpu-33 broken", "no Node named 'gpu-33' (did you mean gpu-3"),
        ("is pod research/trian-0 pending", "no Pod named 'trian-0' (did you mean train-0"),
        ("is deployment chat-7b slow", "no Deployment named 'chat-7b' (did you mean chat-70b"),
        ("is namespace serch fine", "no Namespace named 'serch' (did you mean search"),
        ("is serch/chat-70b fine", "no namespace named 'serch' (did you mean search"),
        ("how is team sciense doing", "no team named 'sciense' (did you mean science"),
        ("is queue team-b full", "no queue named 'team-b' (did you mean team-a"),
        ("is chat-71b slow", "no object named 'chat-71b' (did you mean chat-70b"),
        ("is chat-70b in namespace prod slow", "no object in prod named 'chat-70b'"),
    ],
)
def test_a_name_that_does_not_exist_is_an_error_with_near_names(question: str, message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        outcome(question)
    assert str(caught.value).startswith(message)


def test_flags() -> None:
    assert asked("why are GPUs idle", flag="prod") == "namespace prod"
    assert asked("is web slow", flag="prod") == "prod/Deployment/web"
    found = outcome("why are GPUs idle", flag="prod", everywhere=True)
    assert isinstance(found, Resolved)
    assert found.scope.asked == "cluster"
    team = outcome("how is team search doing", flag="search-dev")
    assert isinstance(team, Resolved)
    assert team.scope.namespaces == ("search-dev",)
    with pytest.raises(UnknownName, match="did you mean prod"):
        outcome("why are GPUs idle", flag="prdo")
    for question in ("is search/chat-70b slow", "idle in namespace search"):
        with pytest.raises(SettingsError, match="drop one of the two"):
            outcome(question, flag="prod")


def test_the_selector_is_kept() -> None:
    found = resolve(
        parse("why idle"), NAMES, namespace_flag=None, all_namespaces=False, selector="app=chat", permitted=None
    )
    assert isinstance(found, Resolved)
    assert found.scope.selector == "app=chat"


def test_what_may_not_be_seen_is_left_out_and_said() -> None:
    mine = ("search", "prod")
    whole = outcome("why are GPUs idle", permitted=mine)
    assert isinstance(whole, Resolved)
    assert whole.scope.namespaces == mine
    assert whole.left_out == ("lonely", "research", "search-dev", "vision")
    team = outcome("how is team search doing", permitted=mine)
    assert isinstance(team, Resolved)
    assert (team.scope.namespaces, team.left_out) == (("search",), ("search-dev",))
    other = outcome("idle in namespace research", permitted=mine)
    assert isinstance(other, Resolved)
    assert (other.scope.namespaces, other.left_out) == ((), ("research",))
    with pytest.raises(UnknownName) as caught:
        outcome("is research/train-0 pending", permitted=mine)
    assert "train-0" not in caught.value.near


def test_names_that_may_not_be_listed_are_taken_at_their_word() -> None:
    blind = Names(unseen=frozenset({"namespaces", "workloads"}))
    found = outcome("why is pod research/train-0 pending", blind)
    assert isinstance(found, Resolved)
    assert found.scope.asked == "research/Pod/train-0"
    flagged = outcome("why idle", blind, flag="anything")
    assert isinstance(flagged, Resolved)
    assert flagged.scope.namespaces == ("anything",)


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        ("why are GPUs idle?", set()),
        ("why is my job pending", set()),
        ("idle in namespace search", {"namespaces"}),
        ("how is team search doing", {"namespaces", "queues"}),
        ("is node gpu-3 broken", {"nodes", "namespaces"}),
        ("why is pod research/train-0 pending", {"workloads"}),
        ("why is chat-70b slow", {"namespaces", "nodes", "queues", "workloads"}),
    ],
)
def test_only_what_is_needed_is_listed(question: str, needed: set[str]) -> None:
    assert needs_names(parse(question)) == needed


def test_names_come_from_a_view() -> None:
    queue = workload("LocalQueue", "team-a", "kueue.x-k8s.io/v1beta1", spec={"clusterQueue": "big"})
    space: JsonObject = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "ml", "labels": {"team": "vision"}},
    }
    names = names_of(view([node("gpu-0"), pod("a"), queue, space]), team_map={"x": ["ml"]}, team_label="team")
    assert names.nodes == ("gpu-0",)
    assert names.namespaces == {"ml": {"team": "vision"}}
    assert names.local_queues == (QueueName(namespace="ml", name="team-a", cluster_queue="big"),)
    assert [str(r) for r in names.workloads] == ["ml/Pod/a"]
    assert not names.unseen


def test_denied_listings_are_unseen() -> None:
    call = ToolCall(tool="list_objects", args={"group": "", "kind": "Node"})
    denied = evidence("E1", "list_objects", [], "objects", "denied", "403")
    names = names_of(View([(call, denied)], now=0.0, scope=Scope(asked="cluster")), team_map={}, team_label="team")
    assert names.unseen == {"nodes"}


LABEL = st.sampled_from(["search", "prod", "web", "gpu-3", "chat-70b", "team-a", "train-0", "big", "llama", "nope-1"])
QUESTION = st.lists(
    st.one_of(
        LABEL,
        st.builds("{} {}".format, st.sampled_from(["pod", "node", "team", "queue", "namespace", "deployment"]), LABEL),
        st.builds("{}/{}".format, LABEL, LABEL),
        st.sampled_from(["why is", "slow", "pending", "in", "on", "'", "and"]),
    ),
    max_size=6,
).map(" ".join)


def resolves_or_says_why(question: str, flag: str | None, permitted: tuple[str, ...] | None) -> None:
    try:
        found = outcome(question, flag=flag, permitted=permitted)
    except UserError as error:
        message = str(error)
    else:
        _fits(found, permitted)
        return
    assert message
    assert "\n" not in message


def _fits(found: Resolved | Choice, permitted: tuple[str, ...] | None) -> None:
    scopes = found.scopes if isinstance(found, Choice) else (found.scope,)
    for scope in scopes:
        assert scope.permitted == permitted
        if permitted is not None:
            assert scope.namespaces is not None
            assert set(scope.namespaces) <= set(permitted)
    if isinstance(found, Choice):
        assert len(set(found.candidates)) == len(found.candidates) > 1
        for candidate in found.candidates:
            assert isinstance(outcome(candidate, permitted=permitted), Resolved)


ANYTHING = given(
    QUESTION,
    st.sampled_from([None, "search", "prod", "nope"]),
    st.sampled_from([None, ("search", "prod"), ("research",)]),
)
test_any_question = settings(max_examples=200)(ANYTHING(resolves_or_says_why))
test_any_question_in_full = pytest.mark.prove(settings(max_examples=10_000)(ANYTHING(resolves_or_says_why)))


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("why is foobar slow?", ("foobar",)),
        ("why are zeta's GPUs idle?", ("zeta",)),
        ("why is web slow in prod?", ()),
        ("why is everything slow in general?", ()),
        ("is inference flapping?", ()),
        ("why are our GPUs idle?", ()),
    ],
)
def test_a_word_in_the_place_of_a_name_that_nothing_has_is_told(question: str, unknown: tuple[str, ...]) -> None:
    found = outcome(question)
    assert isinstance(found, Resolved)
    assert found.unknown == tuple(map(repr, unknown)), "as it is written in the answer"
    hidden = outcome(question, NAMES.model_copy(update={"unseen": frozenset({"workloads"})}))
    assert isinstance(hidden, Resolved)
    assert hidden.unknown == (), "what may not be listed may have that name"
