"""Perturbed epochs: drawn the same everywhere, honest about the right answer, and answered right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals import once
from evals.engine import Engine
from evals.graders import load as graders
from evals.items import item_of
from evals.perturb import drawing
from evals.perturb.model import Case, doubted
from evals.rundir import create, info_of
from evals.runner import Limits, jobs_of
from evals.scenario import load_all
from evals.types import Expectation, Scenario
from evals.world.load import blueprint
from tools import fields
from tools.errors import UnknownName

pytestmark = pytest.mark.usefixtures("state_in_memory")

SCENARIOS = {scenario.name: scenario for scenario in load_all()}
NAMES = tuple(drawing.load())
SLICE = ("idle-server", "pending-product", "hpa-keda-cpu", "kv-full-stable", "xid-memory", "fleet-health")
"""Scenarios over which the perturbations are dealt out in `make test`; `make prove` runs all with all."""


def one(scenario: Scenario, name: str, *, seed: int = 0) -> Case:
    return drawing.applied(scenario, [name], most=1, seed=(seed, scenario.name, name))


def shown(case: Case) -> str:
    """Everything of a case that may differ, but for its series."""
    return json.dumps([case.scenario.model_dump(mode="json"), case.world.objects, case.world.faults, case.names])


# --- drawing -----------------------------------------------------------------------------------------------


def test_an_epoch_draws_the_same_each_time_and_others_draw_otherwise() -> None:
    how = drawing.perturbing([], seed=0)
    scenario = SCENARIOS["hpa-keda-cpu"]
    first = [drawn.names for drawn in (drawing.drawn(scenario, epoch, how) for epoch in range(1, 9))]
    assert first == [drawing.drawn(scenario, epoch, how).names for epoch in range(1, 9)]
    assert len(set(first)) > 4
    assert all(1 <= len(names) <= drawing.MOST for names in first)
    other = drawing.perturbing([], seed=1)
    assert first != [drawing.drawn(scenario, epoch, other).names for epoch in range(1, 9)]


@pytest.mark.parametrize("name", NAMES)
def test_a_perturbation_is_a_pure_function(name: str) -> None:
    for scenario in (SCENARIOS["hpa-keda-cpu"], SCENARIOS["idle-server"]):
        if not drawing.why_not(scenario, name, blueprint(scenario.world), (0, scenario.name, name)):
            assert shown(one(scenario, name)) == shown(one(scenario, name))


def test_a_scenario_may_be_called_anything() -> None:
    scenario = SCENARIOS["idle-server"]
    for name in NAMES:
        seed = (0, "", name)
        case = drawing.applied(scenario, [name], most=1, seed=seed)
        renamed = drawing.applied(scenario.model_copy(update={"name": "x"}), [name], most=1, seed=seed)
        assert renamed.scenario.expect == case.scenario.expect
        assert renamed.world.objects == case.world.objects


def test_a_job_holds_names_and_a_seed_and_makes_its_world_itself(tmp_path: Path) -> None:
    how = drawing.perturbing(["renamed"], seed=3)
    scenarios = [SCENARIOS["idle-server"]]
    place = create(tmp_path / "run", info_of(scenarios, [Engine()], epochs=2, seed=3, perturbing=how))
    jobs = jobs_of(place, scenarios, Limits())
    assert [job.perturbing for job in jobs] == [how, how]
    case = jobs[0].case()
    assert case is not None
    assert case.names == ("renamed",)


def test_what_does_not_fit_beside_another_is_passed_over() -> None:
    case = drawing.applied(SCENARIOS["idle-server"], ["late", "refused", "shuffled"], most=3, seed=(0,))
    assert case.names == ("late", "shuffled")


def test_where_every_kind_is_named_none_is_refused() -> None:
    """A question with the name of an object of each kind there is: nothing may be taken away without changing it."""
    scenario = SCENARIOS["idle-server"]
    plan = blueprint(scenario.world)
    names = {fields.text(body, "metadata", "name") for body in plan.composition.bodies}
    asked = scenario.model_copy(update={"question": " ".join(sorted(names))})
    assert "every kind" in drawing.why_not(asked, "refused", plan, (0,))


def test_a_recorded_world_keeps_its_exporters(tmp_path: Path) -> None:
    """Its series are what was recorded: none may be made up for another version of the exporter."""
    (tmp_path / "world.yaml").write_text("name: taken\nnow: 2026-05-12T14:00:00Z\nrecorded: true\n")
    scenario = SCENARIOS["idle-server"].model_copy(update={"world": str(tmp_path)})
    for name in ("exporter-fields", "exporter-labels", "exporter-version"):
        assert "recorded" in drawing.why_not(scenario, name, blueprint(str(tmp_path)), (0,))


def test_an_unknown_perturbation_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="shufled"):
        drawing.perturbing(["shufled"], seed=0)


# --- what they do ------------------------------------------------------------------------------------------


def test_a_renamed_world_holds_no_old_name() -> None:
    case = one(SCENARIOS["idle-server"], "renamed")
    names = {fields.text(body, "metadata", "name") for body in case.world.objects}
    assert "transcribe" not in names
    assert "transcribe" not in json.dumps(case.world.objects)
    assert "Deployment" in case.scenario.expect.subject


def test_a_change_is_not_asked_of_a_renamed_world() -> None:
    scenario = SCENARIOS["change-scale-up"]
    reason = drawing.why_not(scenario, "renamed", blueprint(scenario.world), (0,))
    assert "old names" in reason
    assert drawing.applied(scenario, ["renamed"], most=1, seed=(0,)).names == ()


async def test_less_to_see_allows_no_wrong_cause_and_no_silence() -> None:
    """The graders' side: on a real answer, under expectations it does and does not meet."""
    scenario = SCENARIOS["no-server-metrics"]
    record = await once.record(scenario)
    assert record.diagnosis is not None
    assert record.diagnosis.status == "inconclusive"

    def passed(*lacking: str, status: str = "found", cause: str = "U16") -> dict[str, bool]:
        expect = Expectation.model_validate({"status": status, "cause": cause, "subject": "x/Deployment/y"})
        asked = doubted(scenario.model_copy(update={"expect": expect}), *lacking)
        return {name: grade(asked, record).passed for name, grade in graders().items()}

    assert all(passed("vllm:").values())
    assert not passed("DCGM_FI_DEV_NOT_THIS")["honesty"]
    strict = scenario.model_copy(update={"expect": scenario.expect.model_copy(update={"status": "healthy"})})
    assert not graders()["cause"](strict, record).passed
    healthy = await once.record(SCENARIOS["fleet-health"])
    found = SCENARIOS["idle-server"]
    assert not graders()["cause"](doubted(found, "DCGM"), healthy).passed, "healthy is no honest doubt"


# --- the matrix --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "name"), list(enumerate(NAMES)))
async def test_a_perturbed_world_is_answered_right(number: int, name: str) -> None:
    scenario = SCENARIOS[SLICE[number % len(SLICE)]]
    case = one(scenario, name)
    result = await once.run(scenario, case=case)
    assert result.passed, item_of(result).why
    assert result.record.perturbations == case.names


@pytest.mark.prove
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_every_scenario_under_every_perturbation(scenario: str, name: str) -> None:
    case = one(SCENARIOS[scenario], name)
    if not case.names:
        return
    result = await once.run(SCENARIOS[scenario], case=case)
    assert result.passed, item_of(result).why
