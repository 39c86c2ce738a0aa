"""The words the grammar knows: which phrases mean which topic, which words name a kind, which are just words.

Rules: tables only. A phrase is a run of words; `x*` is any word that begins so, `_` stands for up to three words.
The heaviest matched phrase decides the topic, earlier rules win ties.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.types import Family, Topic

MentionKind: TypeAlias = Literal["namespace", "team", "node", "queue", "pod", "workload", "any"]
GPU: tuple[Family, ...] = ("gpu",)
DRIFT: tuple[Family, ...] = ("drift",)
BOTH: tuple[Family, ...] = ("gpu", "drift")


@dataclass(frozen=True, slots=True)
class Rule:
    """Phrases (separated by `|`) that make a question one of a topic, judged by these families and causes."""

    topic: Topic
    families: tuple[Family, ...]
    weight: int
    phrases: str
    causes: tuple[str, ...] = ()
    """Causes that alone answer such a question; ids of causes this build lacks are harmless."""


def words(text: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(text.split())


RULES: tuple[Rule, ...] = (
    Rule("changes", BOTH, 4, "what _ happened|what happened|what has happened"),
    Rule(
        "changes", DRIFT, 4,
        "what _ changed|what changes|which changes|who _ changed|who _ edited|who _ touched|who _ modified|who _ scaled"
        "|who _ deployed|who _ deleted|who _ restarted|who _ updated|who _ patched|who _ rolled|what _ different"
        "|what _ deployed|what _ rolled out|recent changes|latest changes|last changes|any changes"
        "|change history|rollout history|show _ changes|list _ changes",
    ),
    Rule(
        "health", DRIFT, 4,
        "same image|different image*|image drift|image digest*|image version*|which image*|wrong image|old image"
        "|stale image|same digest|different digest*|wrong tag|mutable tag*|wrong model|model version*|same model"
        "|different model*|which model version|wrong version|wrong revision|old version|same version"
        "|different version*|which version*|mixed versions|version drift|version skew|outdated|out of date",
        ("D03", "D04"),
    ),
    Rule(
        "health", GPU, 4,
        "xid*|off the bus|ecc|ecc error*|gpu error*|gpu fault*|gpu fail*|gpu _ broken|gpus _ broken|broken gpu*"
        "|faulty gpu*|bad gpu*|dead gpu*|defective gpu*|lost _ gpu*|gpu lost|gpus lost|gpu _ hung|nvlink error*"
        "|row remap*|uncorrectable|double bit|fallen off|hardware fault*|hardware error*",
        ("U35", "U37", "U38"),
    ),
    Rule(
        "health", GPU, 4,
        "telemetry|dcgm|no metrics|metrics missing|missing metrics|metrics _ missing|blind spot*|not measured"
        "|unmeasured|measured|scrape*|scraping|exporter*|no data|gpu metrics|gpus _ monitored|monitoring",
        ("U00",),
    ),
    Rule("health", DRIFT, 4, "drift*|out of sync|outofsync|diverge*|differ from git|live state"),
    Rule(
        "pending", GPU, 3,
        "pending|unschedul*|not schedul*|never schedul*|be scheduled|get scheduled|not be placed|wait|waits|waiting"
        "|stuck|queued|not start|not starting|never start*|not started|will not run|not running|does not run"
        "|not get _ gpus|no gpus for|not admitted|be admitted|get admitted|gated|insufficient|no node fits"
        "|how long _ queue|preempted|evicted|blocked",
    ),
    Rule(
        "latency", BOTH, 3,
        "latency|latencies|ttft|first token*|time to first token|tpot|itl|inter token|per output token"
        "|tokens per second|tokens a second|token rate|tok s|tokens s|throughput|slow|slower|slowly|slowness|sluggish"
        "|response time*|timeout*|timing out|time out|lag|lags|lagging|p50|p90|p95|p99|requests waiting"
        "|waiting requests|takes so long|take so long|takes longer|taking so long|slo",
    ),
    Rule(
        "team", GPU, 4,
        "who _ wastes|who _ wasting|who _ waste|who _ uses|who _ using|who _ holds|who _ hold|who _ hogs|who _ hogging"
        "|who _ has|which team*|which namespace*|per team|by team|each team|every team|all teams|teams|per namespace"
        "|by namespace|team usage|chargeback|showback",
    ),
    Rule(
        "idle", GPU, 3,
        "idle|idling|idleness|unused|not used|not using|not in use|doing nothing|do nothing|sit around"
        "|do anything|doing anything|sitting around|sits around|sitting there|waste*|wasting"
        "|nobody uses|nobody using|nobody is using|no one uses|abandoned|zombie*",
    ),
    Rule(
        "utilization", GPU, 3,
        "utili*|underutili*|under utili*|underused|under used|busy|usage|load|efficien*|inefficien*|half empty"
        "|capacity|occupancy|mfu|sm active|tensor core*|how many gpus|free gpus|spare gpus|gpus _ free|gpus _ available"
        "|available gpus|gpu hours|use _ gpu*|using _ gpu*",
    ),
    Rule("changes", DRIFT, 2, "chang*|edit*|modified|deployed|rollout*|rolled out|upgrade*|diff|history"),
    Rule(
        "health", BOTH, 2,
        "all right|alright|ok|okay|healthy|health|unhealthy|broken|wrong|problem*|trouble*|fine|fail*|error*"
        "|crash*|restart*|down|degraded|not ready|notready|oom*|alert*|incident*|worry|concern*|diagnose"
        "|diagnosis|check|fault*|misconfigur*|bad|good shape|going on|firing",
    ),
    Rule("utilization", GPU, 1, "gpu*|expensive|cost*|token*"),
    Rule(
        "overview", BOTH, 2,
        "overview|summar*|at a glance|what is running|what runs|what do we have|what do i have|what is in"
        "|state of|status|how is the cluster|how are things|show me everything",
    ),
)  # fmt: skip
"""Topic rules, most telling first."""

OBJECT_PHRASES = "explain|describe|tell me|what about|details|status|look at|look into|investigate|how is|why|what is"
"""With a pod, workload or node named and no other topic, the question is about that object."""

KINDS: dict[str, tuple[MentionKind, str]] = {
    **dict.fromkeys(("namespace", "namespaces", "ns", "project", "-n", "--namespace"), ("namespace", "Namespace")),
    **dict.fromkeys(("team", "teams"), ("team", "")),
    **dict.fromkeys(("node", "nodes", "host", "machine"), ("node", "Node")),
    **dict.fromkeys(("queue", "queues"), ("queue", "")),
    **dict.fromkeys(("localqueue", "localqueues", "lq"), ("queue", "LocalQueue")),
    **dict.fromkeys(("clusterqueue", "clusterqueues", "cq"), ("queue", "ClusterQueue")),
    **dict.fromkeys(("pod", "pods", "po"), ("pod", "Pod")),
    **dict.fromkeys(("deployment", "deployments", "deploy"), ("workload", "Deployment")),
    **dict.fromkeys(("statefulset", "statefulsets", "sts"), ("workload", "StatefulSet")),
    **dict.fromkeys(("daemonset", "daemonsets", "ds"), ("workload", "DaemonSet")),
    **dict.fromkeys(("replicaset", "replicasets", "rs"), ("workload", "ReplicaSet")),
    **dict.fromkeys(("cronjob", "cronjobs", "cj"), ("workload", "CronJob")),
    **dict.fromkeys(("jobset", "jobsets"), ("workload", "JobSet")),
    **dict.fromkeys(("trainjob", "trainjobs"), ("workload", "TrainJob")),
    **dict.fromkeys(("leaderworkerset", "leaderworkersets", "lws"), ("workload", "LeaderWorkerSet")),
    **dict.fromkeys(("inferenceservice", "inferenceservices", "isvc"), ("workload", "InferenceService")),
    **dict.fromkeys(("horizontalpodautoscaler", "hpa", "hpas"), ("workload", "HorizontalPodAutoscaler")),
    **dict.fromkeys(("scaledobject", "scaledobjects"), ("workload", "ScaledObject")),
    **dict.fromkeys(("notebook", "notebooks"), ("workload", "Notebook")),
    **dict.fromkeys(("job", "jobs"), ("workload", "")),
    **dict.fromkeys(("workload", "workloads", "app", "application", "service", "server", "model"), ("workload", "")),
}  # fmt: skip
"""Words that say of which kind a name is; the second part is the Kubernetes kind where the word is that exact."""
EXACT_PREFIX: dict[str, str] = {"job": "Job", "jobs": "Job"}
"""Kinds that only the form `job/name` makes exact: in prose a "job" may be a TrainJob or JobSet as well."""

NAME_FOLLOWS = words(
    "in of on for from within inside about is are was were does do did has have changed edited touched uses use"
)
"""Words after which a plain word may be somebody's name for something."""

STOP = words(
    """
    a an and any anything are as at be been before but by can could did do does doing done either else every
    everything few first for from get gets give got had has have having how i if in inside into is it its just
    last least less let many may me might mine more most much must my need never new no none not nothing now of
    off often on once one only or other our ours out over own per please same shall she should since so some
    something still such than that the their them then there these they this those through to today too two
    under until up upon us use used uses using very was we went were what when where which while who whose why
    will with within without would yes yesterday yet you your all also about after again against along always
    among around because both between during each here he her him his off ever exactly really right suddenly
    currently actually happen happens happened going gone goes go want know see say tell show explain list
    describe find help named called like hello hi thanks anybody anyone anywhere somebody someone somewhere nobody
    nowhere everybody everyone everywhere whoever whatever whichever whether though although however neither nor
    myself itself himself herself themselves ourselves yourself
    """
)
"""Words that are never a name, whatever stands before them."""

ORDINARY = words(
    """
    active affinity age agent agents alive allocatable allocated allocation allowed amd amount annotation answer
    answers api apis applications apps area argo assigned average bad batch behind best better big bigger bound
    broken budget bus cache center central change class cloud cluster clusters code config configuration
    connection consumption container containers control controller controllers core cores cost count cpu cpus
    crash cuda current customer customers daily data dataset day days debug dedicated degraded demand denied
    deploys dev device devices disk distributed downtime driver drivers empty end endpoint engine entire
    environment error errors evening event events expensive experiment experiments failed failing failure
    failures fast faster fault fewer field file files finetune fleet fraction free friday full gateway general
    generation git good gpu gpus great group groups half hand happy hardware heavy high higher hour hours hpa
    huge idle image images important inference infiniband infra infrastructure input instance instances instead
    intel interactive keda kernel kind kinds kubernetes kueue label labels large latest launch layer leader
    leads length level life light limit limits line list little llm llms load loader loading local log logs long
    longer low lower main manager master maximum mean media member members memory metric metrics midnight
    minimum minute minutes mode models monday month months morning mounts multi name names nccl near network
    networking next night nobody noon normal number nvidia off office old oom order output overall owned owner
    owners part parts path pending people percent performance period person places plugin point policies policy
    pool pools port ports power pressure price priority process processes prometheus prompt purpose quality
    question quick quota rank ranks rate rdma ready reason recent release releases replica replicas report
    reported reporting reports request
    requests reservation reserved resource resources restart restarts result results review rollouts run running
    runs sad saturday scale scaler scaling scheduled scheduler second seconds sense series servers serving
    session set setup shape share shared short side single size sized slot slots slow small somebody someone
    space spare standby starts state step stop storage stuck stuff sunday table taint taints task tasks test
    tests thing things threads throttling thursday time timeline times token tokens top total trace traffic
    train trainer training trainings tuesday type types unassigned unit units update updates user users
    utilization value values vendor version versions vllm volume volumes wasted wednesday week weekend weeks
    weights crawls crawling hangs hanging stalls stalling sits sitting waits dies starves lags lagging drags freezes
    frozen thrashes takes taking keeps makes spins spinning finishes finished ends ended begins starts stops fails
    wide work worker workers working world worse worst wrong year years zone zones
    """
)
"""Ordinary words of such questions: taken for a name only where something of that name exists."""
PREFIXES = words("re co non un pre multi over under semi auto sub inter intra cross self well mid high low long")
"""First halves of hyphenated English words."""

NOT_A_NAME = re.compile(
    r"""
    [\d.,]+ (?:%|[kmgt]i?b?|ms|s|sec|secs|m|min|mins|h|hr|hrs|d|w|x|b|am|pm|th|st|nd|rd)?   # numbers with units
  | (?:\d+[dhms]){1,4} | \d{1,2}:\d\d(?::\d\d)? | \d{4}-\d\d-\d\d(?:t[\d:.]+z?)?             # durations, times, dates
  | [pv]\d+(?:\.\d+)* | x?\d+x\d* | (?:u|d|e)\d{1,3}                                         # p95, v1.2, 8x, cause ids
  | (?:a|b|h|l|t|v|p|k|gb|gh|gt|mi|rtx)\d{1,4}[a-z]?s? | (?:rtx|gtx|mi|gaudi)-?\d{1,4}x?s? | gaudi\d?  # GPU models
  | fp\d+ | bf16 | int\d | k8s | s3 | ipv[46] | nccl\d? | cuda\d+ | c\+\+ | i/o | n/a | 24/7 | e2e | l[1-7]
  | (?:tokens?|tok|reqs?|requests?|samples?|images?|steps?|gib|gb|mb|mib|ops|flops?)
    /(?:s|secs?|second|min|minute|h|hour|gpu|day)
  | (?:and/or|on/off|yes/no|w/o|him/her|he/she|up/down|true/false|start/stop|read/write|prefill/decode|cpu/gpu|gpu/cpu)
    """,
    re.VERBOSE,
)  # fmt: skip
"""Tokens with digits or slashes that are no names: amounts, times, percentiles, GPU models, rates."""

SPELLED = words(
    """
    utilization utilisation utilized underutilized unutilized pending unschedulable scheduled latency throughput
    tokens telemetry changed changes change deployed modified edited rollout healthy health unhealthy everything
    anything broken problem problems wastes wasted wasting waste unused idling waiting queued starting namespace
    namespaces deployment deployments statefulset daemonset notebook queue queues version versions image images
    metrics overview summary running yesterday morning slower crashing failing memory cluster usage available
    capacity replicas errors
    """
)
"""Keywords recognised through one slip: a letter too many, too few, wrong, or two swapped."""

CONTRACTIONS: tuple[tuple[str, str], ...] = (
    (r"\bwon't\b", "will not"),
    (r"\bcan(?:'t|not)\b", "can not"),
    (r"n't\b", " not"),
    (r"\b(what|who|how|why|where|it|that|there|everything|anything)'s\b", r"\1 is"),
    (r"'re\b", " are"),
    (r"'ve\b", " have"),
)
"""Short forms spelled out before words are read (patterns, any case)."""

EXAMPLES: dict[Topic, tuple[str, ...]] = {
    "utilization": ("why is GPU utilization low?", "how many GPUs are free?"),
    "idle": ("why are our GPUs idle?",),
    "pending": ("why is my job pending?",),
    "latency": ("why is time to first token up since this morning?",),
    "health": ("is everything all right?", "do all replicas run the same image?", "any XID errors for 24 hours?"),
    "changes": ("what changed in the last 6 hours?",),
    "team": ("who wastes what?",),
    "object": ("why is pod NAMESPACE/NAME not ready?",),
    "overview": (),
}
"""What can be asked, by topic."""


def compiled(phrase: str) -> re.Pattern[str]:
    """A phrase as a pattern over lower-case words separated by single spaces."""
    parts: list[str] = []
    for word in phrase.split():
        if word == "_":
            parts.append(r"(?:\S+ ){0,3}")
        else:
            parts.append(re.escape(word.removesuffix("*")) + (r"[a-z]*" if word.endswith("*") else "") + " ")
    return re.compile("(?<!\\S)" + "".join(parts).rstrip(" ") + "(?!\\S)")


PATTERNS: tuple[tuple[Rule, tuple[tuple[re.Pattern[str], float], ...]], ...] = tuple(
    (rule, tuple((compiled(p), rule.weight + 0.5 * (len(p.split()) - 1)) for p in rule.phrases.split("|")))
    for rule in RULES
)
"""Each rule with its phrases as (pattern, weight); longer phrases weigh more."""

TOPICAL = re.compile(
    "|".join(
        sorted(
            {
                re.escape(word.removesuffix("*")) + ("[a-z]*" if word.endswith("*") else "")
                for rule in RULES
                for phrase in rule.phrases.split("|")
                for word in phrase.split()
                if word != "_" and word not in STOP
            }
        )
    )
)
"""Any single word of any phrase: such a word is a topic before it is a name."""
