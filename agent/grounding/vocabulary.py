"""Which words of a statement are names: by their shape, or by the kind that stands beside them.

Rules: what has the shape of a name has to be found in evidence; ordinary English, hyphenated or not, does not. A plain
word beside a kind is a name unless the vocabulary has it or it has the form of an adjective or adverb.
"""

from __future__ import annotations

import re

from agent.phrases import KINDS, NOT_A_NAME, ORDINARY, PREFIXES, STOP, words

_FORMS = ("ing", "ed", "ly", "ous", "ive", "able", "ible", "al", "ic", "less", "ful", "ary", "ant", "ent")
"""Endings of words that say how something is."""
_CAMEL = re.compile(r"(?:[A-Z][a-z]+)+|HPA")
_MODEL = re.compile(r"(?:a|b|h|l|t|v|gb|gh|mi|rtx|gtx)-?\d{2,4}[a-z]?s?|v\d+(?:\.\d+)+")
"""GPU models and versions: the grammar of questions takes them for words, an answer has to have them from somewhere."""
_TERM = re.compile(
    r"(?:x|nvlink|pcie|gen|hbm|ddr|cuda|ipv|tcp|http|utf|sha|sm|python|java)-?\d{1,3}(?:\.\d{1,2})?[a-z]?"
)
"""Terms of the field that have digits."""
COMPONENTS = words(
    "kube-scheduler kube-apiserver kube-controller-manager kube-proxy cluster-autoscaler kube-state-metrics "
    "node-exporter dcgm-exporter device-plugin gpu-operator metrics-server prometheus-adapter cert-manager"
)
"""Parts of every such cluster, spoken of as a kind of thing."""
AFFIXES = PREFIXES | words(
    "wise non un ex mis de per vs of to the and by in on as up down out off at for than or free bound based only wide "
    "level like aware driven specific side sided heavy light hungry sized limited starved related induced relevant "
    "ready intensive sensitive effective wait check scheduled packed packing thirds third precision post real spot "
    "round robin root false even fold single double short half full right left first last best worst same so called "
    "all new old"
)
"""Parts that make a hyphenated word English, whatever the other parts are."""
KIND_WORDS = words(
    "namespace pod node deployment statefulset daemonset replicaset job cronjob jobset trainjob pytorchjob notebook "
    "hpa service secret configmap pvc localqueue clusterqueue queue team scaledobject inferenceservice leaderworkerset "
    "user tenant"
)
"""Words that make a plain word behind them a name."""
NAMED_KINDS = words(
    "namespace pod deployment statefulset daemonset job cronjob jobset trainjob notebook service queue team workload "
    "user tenant"
)
"""Kinds of which a plain word in front says which one."""
AFTER_NAME = words("is was has had are were does did will can could should must may runs holds uses in on and needs")
"""Words before which such a plain word is a name and not, say, a verb; the end of a statement counts as well."""
VOCABULARY = STOP | ORDINARY | frozenset(KINDS) | words(
    """
    above absent accept account accelerator act add admission admit affect afford agree allow appear apply arrive ask
    attach attempt autoscaler autoscale autoscaling await back backlog balance bandwidth base become begin below block
    boot bottleneck bring bucket build burst busy call cannot cap capacity carry caught check choose claim clear close
    collect come compare complete compute condition confirm consist constant consume contain continue cool cordon
    correct could cover create cut dashboard dead deadline decide decode decrease default delay delete depend deploy
    describe desire detect differ difference directly disagree disk do double drain draw drift drop each ecc edit
    effect eight either eleven emit enable engine enough equal evict exceed exhaust exist exit expect explain expose
    external fact fall far feed fetch few fill find finish firmware fit five fix flag flat floor follow force forward
    found four frame free frozen full further gap gate gather generate get give go grow guess halt hang hardware hash
    head healthy held hence hint hit hold host idle ignore immediately impact imply improve include increase indeed
    independent indicate individual inside instance intensive internal interval invalid issue jump keep kill kv know
    lack last lead leak leave lie like likely link listed live lock look lose lost make manage many mark match max
    maybe mean measure meet mention merely metadata migrate min minus miss model modify monitor mount move must
    namely need neighbor neighbour neither never new next nine none nor notready note notice nvlink observe obvious
    occur offer open
    operate option order originate otherwise outside overcommit overload overlap page partly past pause pay peak
    percent perhaps persist phase pick pin place plan plus point poll possible possibly predict preempt preemption
    prefer prefill prefix present presumably prevent previous probably probe problem produce product program proof
    prove provide provision pull push put quantity quarter query queue quiet quite raise ran range rank rather reach
    read reboot receive recommend record recover reduce refer refuse regular reject relate rely remain remediate
    remedy remove repeat replace replica require reschedule reserve reset resolve respect respond response rest
    restart retry return reveal rise roll root row safe sample saturate saturation save saw say schedule scope scrape
    seem select send separate serve seven several share shift shortage should show shrink sign signal similar simply
    sit six sleep slow software solely soon source speak spec specific spend spike split spread stable stale stall
    stand start startup starve stay steady still stop store strong struggle submit succeed successful suffer suggest
    suit sum supply support suspend sustain swap symptom system take target tell template ten tend tenant term
    therefore think thirty thread three threshold throttle throughput thus tie tight tolerate tolerance touch track
    transient trigger true try turn twelve twice twenty two typical unable unchanged understand undesired
    unhealthy unknown unless unlikely unready unschedulable unused upgrade usual valid vary verify via view violate
    wait want warm warn waste watch way weak well went whereas whether whole wish wonder word would write yet
    zero ttft tpot itl slo sla mig mps nccl gib mib gpus dram hbm sm tensor pipeline parallel parallelism expert
    scaling rollout taint cordoned eviction digest tag registry checkpoint epoch batch dataloader dataset input
    crashloopbackoff oomkilled imagepullbackoff notfound hot cold hotspot deadlock heartbeat lease quota cohort
    isn aren wasn weren hasn haven hadn doesn don didn won wouldn couldn shouldn ain ll ve re i.e e.g a.m p.m vs etc
    loop oscillate latch trade bottle choke bind bandwidth grain coarse fine tune fair hungry guarantee burst rack spine
    depth length date span pool array mesh shard mode selector owner revision status age name count ratio peak
    borrow lend preempting fair sharing flavor workload admitted inadmissible evicted finished suspended
    """
)  # fmt: skip
"""Words that are no names, beside those the grammar of questions knows; stems stand for their forms."""


def named(token: str) -> bool:
    """True for a token with the shape of a name: a dash, dot, slash, colon, underscore or digit that is not English."""
    low = token.lower()
    if _MODEL.fullmatch(low):
        return True
    if low.isalpha() or low in VOCABULARY or low in COMPONENTS or NOT_A_NAME.fullmatch(low) or _TERM.fullmatch(low):
        return False
    if "/" in low and not any(c.isdigit() or c in "._:" for c in low):
        return any(part and not english(part) and part not in KINDS for part in low.split("/"))
    if re.fullmatch(r"[^\W\d_]+(?:[-–’'&][^\W\d_]+)*", low):
        return not english(low)
    return any(c.isalnum() for c in low)


def english(word: str) -> bool:
    """True for an ordinary word, and for a hyphenated one made of them or with an English affix."""
    parts = [part for part in re.split(r"[-–’'&]", word.lower()) if part]
    if len(parts) > 1 and any(part in AFFIXES for part in parts):
        return True
    return all(ordinary(part) or (len(parts) > 1 and part.endswith(("ing", "ed"))) for part in parts)


def ordinary(word: str) -> bool:
    """True for a word of the vocabulary or a form of one."""
    if word in VOCABULARY or len(word) < 2:
        return True
    for ending in ("s", "es", "ed", "d", "ing", "ly", "er", "ers", "ment", "ion", "ions", "able", "y", "ies", "ness"):
        stem = word.removesuffix(ending)
        if stem != word and (stem in VOCABULARY or stem + "e" in VOCABULARY or stem + "y" in VOCABULARY):
            return True
        if stem != word and len(stem) > 3 and stem[-1] == stem[-2] and stem[:-1] in VOCABULARY:
            return True
    return False


def follows_kind(before: str, token: str, after: str) -> bool:
    """True for a plain word that a kind in front of it makes a name: `Deployment checkout`, `namespace payments`."""
    if before.lower() not in KIND_WORDS or not token.isalpha() or not token.islower() or ordinary(token):
        return False
    if _CAMEL.fullmatch(before):  # written as the API writes it: what follows is its name, whatever follows that
        return True
    if before.lower() in ("user", "tenant", "team"):
        return True
    if after and after.lower() not in AFTER_NAME:
        return False
    return before.lower() == "namespace" or not token.endswith(_FORMS)


def precedes_kind(before: str, token: str, after: str) -> bool:
    """True for a plain word that a kind behind it makes a name: `the checkout service`, `payments pods`."""
    kind = after.lower().removesuffix("s")
    if kind not in NAMED_KINDS or not token.isalpha() or not token.islower() or ordinary(token):
        return False
    return before.lower() not in ("a", "an") and not token.endswith(_FORMS)
