"""What plain tools captured becomes a world in which the same is found, and nothing is lost unsaid."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from pydantic import JsonValue

from evals import once
from evals.importing.case import Case, expectation
from evals.importing.importer import import_case
from evals.recording.timing import relative_times
from evals.sameness import differing
from evals.scenario import load_all, load_file
from evals.scenario_lint import lint_scenario
from evals.types import Scenario
from evals.world.lint import lint
from evals.world.load import load
from plumbline.cli import main
from tests.importing.dumping import cluster, dumped, exposition, table, wanted, world_of
from tools import fields
from tools.errors import DocumentError, SettingsError
from tools.types import JsonObject


def pod(name: str, **more: JsonValue) -> JsonObject:
    metadata: JsonObject = {"name": name, "namespace": "a", "creationTimestamp": "2026-05-12T13:00:00Z"}
    spec: JsonObject = {"containers": [{"name": "main", "image": "example.com/x:1"}], "nodeName": "n"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, **more}


def put(folder: Path, name: str, content: object) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


@wanted
@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_a_dump_and_metrics_lead_to_the_answer_of_the_cluster(form: str, tmp_path: Path) -> None:
    """A world captured with kubectl, as OpenMetrics text and as CSV."""
    scenario = load_all("single-cache-full")[0]
    case = tmp_path / "incident"
    case.mkdir()
    world = world_of("single-cache-full")
    async with cluster(world, tmp_path) as kubectl:
        await dumped(kubectl, world, case, form=form)
    put(case, "metrics/all.om", exposition(world, 1.0))
    put(case, "metrics/power.csv", table(world, "DCGM_FI_DEV_POWER_USAGE", 24))
    put(case, "case.yaml", {"question": scenario.question, "expected": "U16", "subject": scenario.expect.subject})
    done = import_case(case, tmp_path / "out")
    assert not lint_scenario(done.scenario)
    assert done.world.objects == len([one for one in world.objects if one["kind"] != "Secret"])
    live = await once.run(scenario)
    taken = await once.run(load_file(done.scenario))
    assert taken.passed, taken.grades
    differences = differing(live.record.diagnosis, taken.record.diagnosis)
    assert not [one for one in differences if one.startswith(("findings", "status"))]


async def test_nothing_of_objects_logs_and_samples_is_lost(tmp_path: Path) -> None:
    case = tmp_path / "case"
    odd = pod("one", status={"phase": "Running", "oddity": {"deep": [1, 2.5, None, "ä: #"]}})
    put(case, "pods.json", {"apiVersion": "v1", "kind": "PodList", "items": [odd, pod("two")]})
    put(case, "logs/a/one/main.log", "2026-05-12T13:59:00Z started\nplain words\n")
    put(case, "logs/a/one/main/previous.log", "it fell\n")
    put(case, "m.csv", "time,metric,gpu,value\n1778594000,util,0,0.1\n1778594030,util,0,NaN\n1778594060,util,0,3e8\n")
    put(case, "case.yaml", {"now": "2026-05-12T14:00:00Z", "expected": "healthy", "question": "is all well?"})
    import_case(case, tmp_path / "out")
    assert not lint(tmp_path / "out" / "case")
    world = load(str(tmp_path / "out" / "case"))
    (held,) = [one for one in world.objects if fields.text(one, "metadata", "name") == "one"]
    assert relative_times(held["status"], 0) == relative_times(odd["status"], 0)
    assert held["spec"] == odd["spec"]
    assert fields.text(held, "metadata", "creationTimestamp") == "2026-05-12T13:00:00Z"
    assert world.logs[("a", "one", "main")].decode() == "2026-05-12T13:59:00Z started\nplain words\n"
    assert world.logs[("a", "one", "main/previous")].decode() == "it fell\n"
    (series,) = world.series.select((), 0, 1e12)
    assert list(series.times) == [1778594000.0, 1778594030.0, 1778594060.0]
    assert [f"{value:g}" for value in series.values] == ["0.1", "nan", "3e+08"]
    assert dict(series.labels) == {"__name__": "util", "gpu": "0"}
    scenario = load_file(tmp_path / "out" / "case.yaml")
    assert (scenario.question, scenario.expect.status) == ("is all well?", "healthy")


@wanted
async def test_texts_of_describe_and_a_dump_of_the_cluster(tmp_path: Path) -> None:
    """A pod that waits, told by what `kubectl describe` prints; its kinds, times and events are read from the text."""
    case = tmp_path / "texts"
    case.mkdir()
    world = world_of("pending-taint", anchor=time.time())
    scenario = load_all("pending-taint")[0]
    async with cluster(world, tmp_path) as kubectl:
        put(case, "nodes.txt", await kubectl("describe", "nodes"))
        put(case, "pods.txt", await kubectl("describe", "pods", "-A"))
        for kind in ("deployments", "jobs", "statefulsets", "daemonsets", "replicasets", "jobsets", "resourcequotas"):
            put(case, f"{kind}.txt", await kubectl("describe", kind, "-A"))
    put(case, "metrics.om", exposition(world, 0.5, "kube_pod_.*"))
    cause = scenario.expect.cause
    put(
        case,
        "case.yaml",
        {"question": scenario.question, "expected": f"I think it is {cause}: a taint", "now": stamp()},
    )
    done = import_case(case, tmp_path / "out")
    taken = await once.run(load_file(done.scenario))
    assert taken.record.diagnosis is not None
    assert cause in {one.cause for one in taken.record.diagnosis.findings}, taken.grades


def stamp() -> str:
    return fields.rfc3339(time.time())


@wanted
async def test_a_dump_of_cluster_info(tmp_path: Path) -> None:
    case = tmp_path / "dump"
    world = world_of("single-healthy")
    async with cluster(world, tmp_path) as kubectl:
        await kubectl("cluster-info", "dump", "-A", "--output-directory", str(case))
    done = import_case(case, tmp_path / "out")
    assert done.world.objects > 15
    assert done.world.logs == 3
    assert {one.what for one in done.world.left_out} == {"every series"}


def test_what_is_expected_is_a_cause_of_ours_or_stays_in_words() -> None:
    assert expectation(Case(expected="U13")).cause == "U13"
    assert expectation(Case(expected="the GPUs idle because of U01.")).cause == "U01"
    assert expectation(Case(expected="U01 or U13")).cause == "", "two are none"
    assert expectation(Case(expected="Healthy")).status == "healthy"
    told = expectation(Case(expected="disk full"))
    assert (told.status, told.cause, told.told) == ("found", "", "disk full")


async def test_a_cause_in_words_is_never_right(tmp_path: Path) -> None:
    expect = load_all("hpa-cpu")[0].expect.model_copy(update={"cause": "", "subject": "", "told": "it scales on CPU"})
    scenario: Scenario = load_all("hpa-cpu")[0].model_copy(update={"expect": expect})
    graded = {one.grader: one for one in (await once.run(scenario)).grades}
    assert not graded["cause"].passed
    assert "it scales on CPU" in graded["cause"].detail


def test_every_file_is_read_or_named(tmp_path: Path) -> None:
    case = tmp_path / "case"
    put(case, "ok.json", pod("one"))
    put(
        case,
        "bomb.yaml",
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b]\n",
    )
    put(case, "cut.json", '{"apiVersion": "v1", "kind": "Pod", "metadata": {"na')
    put(case, "values.yaml", "replicas: 3\n")
    put(case, "secret.json", pod("s") | {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}})
    put(case, "bad.csv", "time,metric,value\n1778594000,util,many\n")
    put(case, "bad.om", "util 1\n")
    put(case, "notes.md", "we restarted it\n")
    put(case, "strange.log", "whose is this\n")
    (case / "link.json").symlink_to("/etc/passwd")
    done = import_case(case, tmp_path / "out")
    told = {one.what: one.why for one in done.world.left_out}
    for name in (
        "bomb.yaml",
        "cut.json",
        "values.yaml",
        "a/Secret/s",
        "bad.csv",
        "bad.om",
        "notes.md",
        "strange.log",
        "link.json",
    ):
        assert told.get(name), f"{name} is not named: {told}"
    assert "bad.csv:2" in told["bad.csv"]
    assert done.world.objects == 1
    written = "".join(path.read_text() for path in (tmp_path / "out").rglob("*") if path.suffix in (".yaml", ".json"))
    assert "aHVudGVyMg==" not in written
    assert "root:" not in written


@pytest.mark.parametrize("kind", ["../../../evil", "a/b", "", "x" * 80, "Po\nd"])
def test_no_kind_names_a_file_elsewhere(kind: str, tmp_path: Path) -> None:
    case = tmp_path / "case"
    put(case, "list.json", {"kind": "List", "apiVersion": "v1", "items": [{"kind": "List", "items": [pod("a")]}]})
    put(case, "evil.json", pod("b") | {"kind": kind})
    put(case, "group.json", pod("c") | {"apiVersion": "../../../evil/v1"})
    done = import_case(case, tmp_path / "out")
    assert done.world.objects == 1, "that of a list in a list"
    assert len([one for one in done.world.left_out if "kind" in one.why]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"case", "out"}


def test_of_an_object_given_twice_the_newer_is_kept(tmp_path: Path) -> None:
    case = tmp_path / "case"
    for number, phase in ((9, "Pending"), (10, "Running")):
        body = pod("one", status={"phase": phase})
        fields.mapping(body, "metadata")["resourceVersion"] = str(number)
        put(case, f"{10 - number}.json", body)
    done = import_case(case, tmp_path / "out")
    assert any("once more" in one.what for one in done.world.left_out)
    (held,) = load(str(tmp_path / "out" / "case")).objects
    assert fields.text(held, "status", "phase") == "Running"


def test_a_clock_in_the_future_is_left_out_and_said(tmp_path: Path) -> None:
    case = tmp_path / "case"
    put(case, "ok.json", pod("one"))
    put(case, "m.csv", "time,metric,value\n1778594000,util,1\n4000000000,util,2\n")
    put(case, "case.yaml", {"now": "2026-05-12T14:00:00Z"})
    done = import_case(case, tmp_path / "out")
    assert done.world.samples == 1
    assert any("after the moment" in one.why for one in done.world.left_out)


def test_bad_cases_are_one_error_and_leave_nothing(tmp_path: Path) -> None:
    case, out = tmp_path / "case", tmp_path / "out"
    case.mkdir()
    with pytest.raises(SettingsError, match="no object and no series"):
        import_case(case, out)
    put(case, "ok.json", {key: value for key, value in pod("one").items() if key != "x"})
    put(case, "case.yaml", "nme: x\n")
    with pytest.raises(DocumentError, match="nme"):
        import_case(case, out)
    put(case, "case.yaml", "now: yesterday\n")
    with pytest.raises(DocumentError, match="not a time"):
        import_case(case, out)
    (case / "case.yaml").unlink()
    timeless = pod("one")
    fields.mapping(timeless, "metadata").pop("creationTimestamp")
    put(case, "ok.json", timeless)
    with pytest.raises(SettingsError, match="when it was captured"):
        import_case(case, out)
    with pytest.raises(SettingsError, match="is no folder"):
        import_case(tmp_path / "nowhere", out)
    assert not out.exists()


def test_the_command_says_what_became_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case, out = tmp_path / "case", tmp_path / "out"
    put(case, "ok.json", pod("one"))
    put(case, "case.yaml", {"expected": "the disk was full"})
    assert main(["eval", "import", str(case), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "1 objects" in said.out or "1 object" in said.out
    assert "left out: every series" in said.out
    assert "expect.cause" in said.err
    assert main(["eval", "import", str(case), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["eval", "import", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert main(["eval", "import", str(case), "--out", "/proc/x"]) == 2
    assert "cannot" in capsys.readouterr().err
