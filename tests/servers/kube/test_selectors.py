"""Label and field selectors against what they mean, and the words of their refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.servers.kube.selectors import Requirement, label_selector
from evals.servers.kube.status import ApiError
from tests.servers.kube.conftest import Serve
from tests.servers.kube.worlds import pod, small_world, thing
from tools.types import JsonObject

LABELS: dict[str, object] = {"app": "chat", "tier": "gpu", "rank": "7", "empty": ""}
WORDS = st.sampled_from(["a", "b-1", "x.y/z", "", "app"])


@pytest.mark.parametrize(
    ("selector", "holds"),
    [
        ("app=chat", True),
        ("app == chat", True),
        ("app!=chat", False),
        ("other!=chat", True),
        ("app in (chat, hog)", True),
        ("app in (hog)", False),
        ("app notin (hog)", True),
        ("other notin (chat)", True),
        ("other in (chat)", False),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("rank>6", True),
        ("rank<7", False),
        ("app>6", False),
        ("app=chat,tier=gpu,!other", True),
        ("app=chat,tier=cpu", False),
        ("empty=", True),
        ("empty in ()", True),
        ("app in (,chat)", True),
    ],
)
def test_a_selector_means(selector: str, holds: bool) -> None:  # noqa: FBT001  # a parametrised answer
    test = label_selector(selector)
    assert test is not None
    assert test(LABELS) is holds


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("app in (", "found '', expected: ',', ')' or identifier"),
        ("app in chat", "found 'chat' expected: '('"),
        ("app chat", "found 'chat', expected: in, notin, =, ==, !=, gt, lt"),
        ("=chat", "found '=', expected: identifier"),
        ("app=chat tier", "found 'tier', expected: ',' or 'end of string'"),
        ("app,", "found '', expected: identifier after ','"),
        ("-app-", "name part must consist of"),
        ("app=-", "a valid label must be an empty string"),
        ("rank>six", "the value must be an integer"),
    ],
)
def test_a_wrong_selector_is_refused_with_the_servers_words(selector: str, message: str) -> None:
    with pytest.raises(ApiError) as refusal:
        label_selector(selector)
    assert refusal.value.code == 400
    assert message in refusal.value.message


def test_an_empty_selector_admits_everything() -> None:
    assert label_selector("  ") is None


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    key=WORDS.filter(bool),
    values=st.lists(WORDS.filter(lambda word: "/" not in word), min_size=1, max_size=3),
    labels=st.dictionaries(WORDS.filter(bool), WORDS),
)
def test_in_and_notin_are_opposites_where_the_label_is_present(
    key: str, values: list[str], labels: dict[str, object]
) -> None:
    inside = label_selector(f"{key} in ({', '.join(values)})")
    outside = label_selector(f"{key} notin ({', '.join(values)})")
    assert inside is not None
    assert outside is not None
    assert outside(labels) is not inside(labels)
    assert inside(labels) is (key in labels and labels[key] in values)
    assert Requirement(key, "exists").holds(labels) is not Requirement(key, "absent").holds(labels)


FIELDS: list[JsonObject] = [
    pod("run", node="n1"),
    pod("wait", node="", phase="Pending"),
    pod("done", "other", node="n2", phase="Succeeded"),
]


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("status.phase=Running", ["default/run"]),
        ("status.phase!=Running", ["default/wait", "other/done"]),
        ("spec.nodeName=", ["default/wait"]),
        ("spec.nodeName==n2,metadata.namespace=other", ["other/done"]),
        ("metadata.name=run", ["default/run"]),
        ("spec.hostNetwork=false", ["default/run", "default/wait", "other/done"]),
        (",,", ["default/run", "default/wait", "other/done"]),
    ],
)
async def test_pods_by_field(serve: Serve, selector: str, names: list[str]) -> None:
    client = await serve(small_world(FIELDS))
    assert (await client.get(f"/api/v1/pods?fieldSelector={selector}")).names == names


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("/api/v1/nodes", "spec.podCIDR=x", "field label not supported: spec.podCIDR"),
        ("/api/v1/nodes", "metadata.namespace=x", "field label not supported: metadata.namespace"),
        ("/apis/apps/v1/daemonsets", "spec.x=1", '"spec.x" is not a known field selector: only "metadata.name"'),
        ("/apis/ex.dev/v1/widgets", "spec.x=1", "field label not supported: spec.x"),
    ],
)
async def test_a_field_a_kind_does_not_know_is_refused(serve: Serve, path: str, field: str, message: str) -> None:
    widget: JsonObject = {"group": "ex.dev", "version": "v1", "kind": "Widget", "plural": "widgets", "namespaced": True}
    reply = await (await serve(small_world(definitions=[widget]))).get(f"{path}?fieldSelector={field}")
    assert (reply.status, reply.at("reason")) == (400, "BadRequest")
    assert message in reply.message


async def test_events_can_be_selected_in_both_groups(serve: Serve) -> None:
    about: JsonObject = {"kind": "Pod", "name": "run", "namespace": "default"}
    event = thing("v1", "Event", "e1", "default", involvedObject=about, source={"component": "kubelet"})
    client = await serve(small_world([event, thing("v1", "Event", "e2", "default")]))
    core = "/api/v1/events?fieldSelector=involvedObject.name=run,source=kubelet"
    other = "/apis/events.k8s.io/v1/events?fieldSelector=regarding.name=run"
    assert (await client.get(core)).names == (await client.get(other)).names == ["default/e1"]
