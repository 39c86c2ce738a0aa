"""A diagnosis and evidence to draw, with every kind of line in them."""

from __future__ import annotations

from agent.types import Claim, Diagnosis, Disputed, Finding, Missing, ModelUsage, RuledOut, Usage
from tools.types import Evidence, EvidenceRef, ResourceRef, Row, Scope

DEPLOYMENT = ResourceRef(group="apps", version="v1", kind="Deployment", namespace="search", name="chat-70b")
HPA = ResourceRef(
    group="autoscaling", version="v2", kind="HorizontalPodAutoscaler", namespace="search", name="chat-70b"
)
POD = ResourceRef(version="v1", kind="Pod", namespace="search", name="batch-0")


def claim(text: str, *evidence: str) -> Claim:
    """A claim that quotes one value of each piece of evidence."""
    return Claim(
        text=text, refs=tuple(EvidenceRef(evidence=name, path="/row/spec/value", value=80) for name in evidence)
    )


FINDING = Finding(
    cause="U13",
    title="Deployment search/chat-70b scales on CPU, which does not follow token load",
    subject=HPA,
    severity="high",
    confidence="high",
    seen=(claim("HPA search/chat-70b targets cpu 80 %", "E4"), claim("desired replicas follow cpu", "E11", "E9")),
    affects=(DEPLOYMENT,),
    since=1_772_460_300.0,
)


def diagnosis(**changes: object) -> Diagnosis:
    """A diagnosis with one root cause; `changes` replace fields."""
    whole = Diagnosis(
        question="why are team-search's H100s half idle?",
        status="found",
        reasoner="playbook",
        mode="propose",
        cluster="world hpa-cpu",
        scope=Scope(asked="team search", namespaces=("search",)),
        findings=(FINDING,),
        ruled_out=(
            RuledOut(cause="U16", subject=DEPLOYMENT, because=claim("KV cache at most 41 % full", "E10")),
            RuledOut(cause="U25", subject=POD, because=claim("its loader keeps up", "E12")),
        ),
        checked=(claim("telemetry covers 64 of 64 GPUs", "E1"),),
        missing=(Missing(need="network fabric", because="no node_infiniband_* series here"),),
        narrative="It scales on CPU.",
        asked=("what changed on search/Deployment/chat-70b?",),
        usage=Usage(calls=31, requests=34, seconds=1.1),
    )
    return whole.model_copy(update=changes)


def explained(**changes: object) -> Diagnosis:
    """The same, with everything a language model may add."""
    spent = ModelUsage(model="some-model", requests=3, input=9120, output=410, counted=True, cost=0.0123)
    added: dict[str, object] = {
        "reasoner": "some-model",
        "explained": (
            claim("CPU stays at its target while tokens pile up", "E4", "E11"),
            claim("so it holds still", "E9"),
        ),
        "disputed": (Disputed(cause="U13", because=claim("the HPA has been still for 7 d", "E11")),),
        "notes": ("2 statements of the model cite no evidence and were left out", "the budget of calls ran out"),
        "drafts": ("P7",),
        "usage": Usage(calls=31, requests=34, seconds=1.1, model=spent),
    }
    return diagnosis(**(added | changes))


def evidence(**changes: object) -> Evidence:
    """One list of one object; `changes` replace fields."""
    whole = Evidence(
        id="E4",
        tool="list",
        source="kubernetes",
        family="objects",
        query="kubectl get hpa -A",
        call_digest="0" * 64,
        status="ok",
        observed_at=1_772_460_300.0,
        rows=(Row(key="search/chat-70b", namespace="search", data={"spec": {"value": 80}}),),
        digest="0" * 64,
    )
    return whole.model_copy(update=changes)
