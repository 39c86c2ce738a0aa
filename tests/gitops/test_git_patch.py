"""A change of a declared object: the right file, nothing but the change in it, and a diff that git takes."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from agent.gitops.checkout import open_checkout
from agent.gitops.fields import Named, field_edits, spelled
from agent.gitops.request import GitPatch, Grounds, Wish, git_patch, pull_request
from tools import fields
from tools.errors import Refused, SettingsError
from tools.types import JsonObject, ResourceRef

CHAT = """\
# the large model
apiVersion: apps/v1
kind: Deployment
metadata:
  name: chat
spec:
  replicas: 6  # sized in May
  template:
    spec:
      containers:
        - name: vllm
          image: vllm:v0.19
          args: ["--model=/m", "--max-num-seqs=256"]
          resources:
            limits: {nvidia.com/gpu: "4"}
"""
PLACED = CHAT.replace("  name: chat\n", "  name: chat\n  namespace: search\n", 1)
TARGET = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="search", name="chat")


def live(replicas: int = 6, name: str = "chat", **container: JsonValue) -> JsonObject:
    """The object as a server returns it, with what it adds by itself."""
    engine: JsonObject = {
        "name": "vllm", "image": "vllm:v0.19", "args": ["--model=/m", "--max-num-seqs=256"],
        "resources": {"limits": {"nvidia.com/gpu": "4"}}, "imagePullPolicy": "IfNotPresent", **container,
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "search", "uid": "u", "resourceVersion": "7", "generation": 3},
        "spec": {"replicas": replicas, "progressDeadlineSeconds": 600, "template": {"spec": {"containers": [engine]}}},
        "status": {"readyReplicas": replicas},
    }


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def patched(root: Path, before: JsonObject, after: JsonObject, *, name: str = "chat", source: str = "") -> GitPatch:
    target = TARGET.model_copy(update={"name": name})
    return git_patch(open_checkout(root / source), Wish(target, before, after))


def lines(patch: GitPatch) -> list[str]:
    """What goes and comes."""
    marks = ("+++", "---")
    return [line for line in patch.diff.splitlines() if line[:1] in "+-" and not line.startswith(marks)]


# --- fields ------------------------------------------------------------------------------------------------------


def test_what_a_server_adds_is_no_edit_and_items_go_by_their_names() -> None:
    after = live(5, args=["--model=/m", "--max-num-seqs=128"])
    after["metadata"] = {"name": "chat", "resourceVersion": "9", "generation": 4, "namespace": "search", "uid": "u"}
    after["status"] = {}
    found = field_edits(live(), after)
    assert [(str(edit), edit.before, edit.value) for edit in found] == [
        ("spec.replicas", 6, 5),
        (
            "spec.template.spec.containers[vllm].args",
            ["--model=/m", "--max-num-seqs=256"],
            ["--model=/m", "--max-num-seqs=128"],
        ),
    ]
    assert spelled(("a", Named("b"), "c")) == "a[b].c"


# --- plain files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [CHAT, PLACED, f"kind: List\n---\n{PLACED}---\na: 1\n"])
def test_a_plain_file_is_changed_where_the_field_stands(tmp_path: Path, text: str) -> None:
    patch = patched(write(tmp_path, {"apps/chat.yaml": text, "README.md": "x"}), live(), live(5))
    assert lines(patch) == ["-  replicas: 6  # sized in May", "+  replicas: 5  # sized in May"]
    assert list(patch.after) == ["apps/chat.yaml"]


def test_arguments_and_new_fields(tmp_path: Path) -> None:
    root = write(tmp_path, {"chat.yaml": PLACED})
    patch = patched(root, live(), live(args=["--model=/m", "--max-num-seqs=128", "--enable-chunked-prefill"]))
    assert lines(patch) == [
        '-          args: ["--model=/m", "--max-num-seqs=256"]',
        "+          args: [--model=/m, --max-num-seqs=128, --enable-chunked-prefill]",
    ]
    grown = patched(root, live(), live(resources={"limits": {"nvidia.com/gpu": "4", "memory": "200Gi"}}))
    assert lines(grown)[1].strip("+ ") == 'limits: {nvidia.com/gpu: "4", memory: 200Gi}'.replace('"4"', "'4'")


def test_a_number_and_the_same_number_as_text_agree(tmp_path: Path) -> None:
    patched(write(tmp_path, {"chat.yaml": PLACED.replace('"4"', "4")}), live(), live(5))
    cut = live(resources={"limits": {"nvidia.com/gpu": "2"}})
    assert "2" in lines(patched(tmp_path, live(), cut))[1]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"other.yaml": PLACED.replace("name: chat", "name: other")}, "declared nowhere"),
        ({"a.yaml": PLACED, "b/c.yaml": PLACED}, "declared in several places: a.yaml, b/c.yaml"),
        ({"a.yaml": PLACED.replace("replicas: 6", "replicas: 4")}, "they have drifted"),
        ({"a.yaml": PLACED.replace("replicas: 6", "replicas: &n 6")}, "not read: a.yaml: anchors and aliases"),
        ({"charts/chat/Chart.yaml": "name: chat\n", "charts/chat/templates/d.yaml": "a: {{ .x }}\n"}, "are templates"),
    ],
)
def test_a_doubt_is_a_no(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        patched(write(tmp_path, files), live(), live(5))


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        open_checkout(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="holds no manifest"):
        open_checkout(tmp_path)


def test_a_link_out_of_the_checkout_is_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"chat.yaml": PLACED})
    root = write(tmp_path / "repo", {"x.yaml": "a: 1\n"})
    (root / "chat.yaml").symlink_to(outside / "chat.yaml")
    (root / "more").symlink_to(outside)
    with pytest.raises(Refused, match="declared nowhere"):
        patched(root, live(), live(5))


# --- kustomize ---------------------------------------------------------------------------------------------------

BASE = {"base/kustomization.yaml": "resources: [chat.yaml]\n", "base/chat.yaml": CHAT}


def overlay(folder: str, more: str = "", namespace: str = "search") -> dict[str, str]:
    text = f"# {folder}\nresources:\n  - ../../base\nnamespace: {namespace}\n{more}"
    return {f"overlays/{folder}/kustomization.yaml": text}


def test_a_base_with_one_overlay_is_changed_itself(tmp_path: Path) -> None:
    patch = patched(write(tmp_path, BASE | overlay("prod")), live(), live(5))
    assert list(patch.after) == ["base/chat.yaml"]


def test_a_shared_base_is_left_alone_and_the_overlay_gets_a_patch(tmp_path: Path) -> None:
    root = write(tmp_path, BASE | overlay("prod") | overlay("lab", namespace="lab"))
    patch = patched(root, live(), live(5, args=["--model=/m"]))
    file = "overlays/prod/patch-deployment-chat.yaml"
    assert sorted(patch.after) == ["overlays/prod/kustomization.yaml", file]
    assert "+patches:" in lines(patch)
    assert "name: vllm" in patch.after[file]
    assert "replicas: 5" in patch.after[file]


def test_a_field_is_changed_where_it_is_set_last(tmp_path: Path) -> None:
    strategic = "kind: Deployment\nmetadata: {name: chat}\nspec:\n  replicas: 6\n"
    root = write(
        tmp_path,
        BASE | overlay("prod", "patches:\n  - path: size.yaml\n") | {"overlays/prod/size.yaml": strategic},
    )
    assert list(patched(root, live(), live(5)).after) == ["overlays/prod/size.yaml"]
    operations = "- op: replace\n  path: /spec/replicas\n  value: 6\n"
    aimed = "patches:\n  - path: size.yaml\n    target: {kind: Deployment, name: chat.*}\n"
    write(root, overlay("prod", aimed) | {"overlays/prod/size.yaml": operations})
    assert lines(patched(root, live(), live(5))) == ["-  value: 6", "+  value: 5"]
    write(root, overlay("prod", "replicas:\n  - name: chat\n    count: 6\n"))
    assert lines(patched(root, live(), live(5))) == ["-    count: 6", "+    count: 5"]


OTHERS = "patches:\n  - path: size.yaml\n    target: {aim}\n"
OPERATIONS = "- op: replace\n  path: /spec/replicas\n  value: 9\n"
STRATEGIC = "kind: Deployment\nmetadata: {name: whatever}\nspec:\n  replicas: 6\n"


@pytest.mark.parametrize(
    "aim", ["{kind: Deployment, name: billing}", "{kind: StatefulSet}", "{group: batch}", "{namespace: lab}"]
)
@pytest.mark.parametrize("body", [OPERATIONS, STRATEGIC])
def test_a_patch_that_aims_at_another_object_is_left_alone(tmp_path: Path, aim: str, body: str) -> None:
    files = overlay("prod", OTHERS.replace("{aim}", aim)) | {"overlays/prod/size.yaml": body}
    assert list(patched(write(tmp_path, BASE | files), live(), live(5)).after) == ["base/chat.yaml"]


def test_a_strategic_patch_goes_where_it_aims_whatever_it_is_called(tmp_path: Path) -> None:
    aim = "{kind: Deployment, name: chat|other}"
    files = overlay("prod", OTHERS.replace("{aim}", aim)) | {"overlays/prod/size.yaml": STRATEGIC}
    assert list(patched(write(tmp_path, BASE | files), live(), live(5)).after) == ["overlays/prod/size.yaml"]


@pytest.mark.parametrize("aim", ["{labelSelector: app=chat}", "{name: '(a+)+$'}", "{name: 'ch[a]t'}"])
def test_a_target_that_is_not_understood_is_refused(tmp_path: Path, aim: str) -> None:
    files = overlay("prod", OTHERS.replace("{aim}", aim)) | {"overlays/prod/size.yaml": STRATEGIC}
    with pytest.raises(Refused, match="chooses what it patches by"):
        patched(write(tmp_path, BASE | files), live(), live(5))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("replicas:\n  - name: chat\n    count: 40\n", ""),
        ("patches:\n  - path: size.yaml\n    target: {kind: Deployment}\n", OPERATIONS),
    ],
)
def test_an_overlay_that_has_drifted_is_not_changed(tmp_path: Path, text: str, size: str) -> None:
    root = write(tmp_path, BASE | overlay("prod", text) | ({"overlays/prod/size.yaml": size} if size else {}))
    with pytest.raises(Refused, match=r"the cluster says 6: they have drifted"):
        patched(root, live(), live(5))


def test_an_overlay_between_that_others_build_from_is_left_alone(tmp_path: Path) -> None:
    common = "resources: [../../base]\nnamespace: search\nreplicas:\n  - name: chat\n    count: 6\n"
    files = BASE | {"overlays/common/kustomization.yaml": common}
    for name in ("one", "two"):
        text = f"resources: [../common]\nnamePrefix: {name}-\n"
        files |= {f"overlays/{name}/kustomization.yaml": text}
    patch = patched(write(tmp_path, files), live(name="one-chat"), live(5, name="one-chat"), name="one-chat")
    assert sorted(patch.after) == ["overlays/one/kustomization.yaml", "overlays/one/patch-deployment-chat.yaml"]


def test_an_existing_patch_of_a_shared_base_grows(tmp_path: Path) -> None:
    strategic = "kind: Deployment\nmetadata: {name: chat}\nspec:\n  paused: false\n"
    files = overlay("prod", "patches:\n  - path: p.yaml\n") | {"overlays/prod/p.yaml": strategic}
    root = write(tmp_path, BASE | overlay("lab", namespace="lab") | files)
    patch = patched(root, live(), live(5, args=["--model=/m"]))
    assert list(patch.after) == ["overlays/prod/p.yaml"]
    assert "+  replicas: 5" in lines(patch)


def test_a_prefix_and_a_narrower_source(tmp_path: Path) -> None:
    files = BASE | overlay("prod", "namePrefix: big-\n") | overlay("twin", "namePrefix: big-\n")
    root = write(tmp_path, files)
    (root / ".git").mkdir()
    before, after = live(name="big-chat"), live(5, name="big-chat")
    with pytest.raises(Refused, match="several places: overlays/prod, overlays/twin"):
        patched(root, before, after, name="big-chat")
    patch = patched(root, before, after, name="big-chat", source="overlays/twin")
    assert "overlays/twin/patch-deployment-chat.yaml" in patch.after


def test_a_patch_written_inside_is_named(tmp_path: Path) -> None:
    inline = (
        "patches:\n  - patch: |-\n      kind: Deployment\n      metadata: {name: chat}\n      spec: {replicas: 6}\n"
    )
    with pytest.raises(Refused, match="in a patch written inside it"):
        patched(write(tmp_path, BASE | overlay("prod", inline)), live(), live(5))


def test_loops_and_remote_bases_end(tmp_path: Path) -> None:
    files = {
        "a/kustomization.yaml": "resources: [../b, https://example.com/x, chat.yaml]\n",
        "b/kustomization.yaml": "resources: [../a]\n",
        "c/kustomization.yaml": "resources: [../a, ../../../outside]\nnamespace: search\n",
        "a/chat.yaml": CHAT,
    }
    assert list(patched(write(tmp_path, files), live(), live(5)).after) == ["a/chat.yaml"]


# --- helm --------------------------------------------------------------------------------------------------------


def test_values_of_a_chart_are_changed_where_the_settings_say_so(tmp_path: Path) -> None:
    root = write(tmp_path, {"charts/chat/values.yaml": "# chat\nreplicaCount: 6\nengine: {seqs: 256}\n"})
    helm = {"Deployment/search/chat spec.replicas": "charts/chat/values.yaml#replicaCount"}
    patch = git_patch(open_checkout(root), Wish(TARGET, live(), live(5)), helm=helm)
    assert lines(patch) == ["-replicaCount: 6", "+replicaCount: 5"]
    with pytest.raises(Refused, match=r"no value of the chart for spec\.template"):
        git_patch(open_checkout(root), Wish(TARGET, live(), live(args=[])), helm=helm)


# --- diff and request --------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_applies_the_diff(tmp_path: Path) -> None:
    root = write(tmp_path, BASE | overlay("prod") | overlay("lab", namespace="lab"))
    patch = patched(root, live(), live(5))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "apply", "-"], cwd=root, check=True, input=patch.diff.encode())
    for name, text in patch.after.items():
        assert (root / name).read_text() == text


def test_the_request_says_what_a_reviewer_needs_and_holds_no_link(tmp_path: Path) -> None:
    patch = patched(write(tmp_path, {"chat.yaml": PLACED}), live(), live(5))
    grounds = Grounds(
        cause=("U13 scales on CPU, see https://evil.example/x <script>",),
        evidence=("HPA targets cpu 80 % [E4]",),
        predicted=("4 GPUs freed",),
        risk=("tier B",),
        verification=("waiting requests stay 0 for 24 h",),
    )
    body = pull_request("Scale chat from 6 to 5", patch, grounds)
    for heading in ("Cause", "Evidence", "Predicted effect", "Risk", "Undo", "Verification", "Files"):
        assert f"## {heading}\n" in body
    assert "://" not in body
    assert "<script" not in body
    assert fields.text({"a": body}, "a") == body
    assert copy.copy(patch) == patch
