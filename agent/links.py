"""Links in a model's words: none of them leaves. A reader may click, a client may fetch a preview: both are ways out.

Rules: a word that any surface could turn into a link goes whole, and a marker says so; a dotted identifier stays only
where it is spelled exactly so in structured evidence, or belongs to the vocabulary of Kubernetes below.
Words are judged folded (compatibility forms, escapes, entities, accents), so that no spelling hides a host.
The time is linear in the length of the text, which is cut at MAX_TEXT.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Collection
from urllib.parse import unquote

from agent.phrases import KINDS, words
from agent.render.document import clean

REMOVED = "‹link removed›"
MAX_TEXT = 20_000
"""Characters of a text that are looked at; the rest is dropped."""
MAX_WORD = 300
"""Characters of a word that is not plain; the longest image reference with a digest is shorter."""
GROUPS = words(
    """
    admissionregistration.k8s.io apiextensions.k8s.io apiregistration.k8s.io argoproj.io authentication.k8s.io
    authorization.k8s.io certificates.k8s.io cilium.io coordination.k8s.io discovery.k8s.io events.k8s.io
    flowcontrol.apiserver.k8s.io gateway.networking.k8s.io inference.networking.k8s.io inference.networking.x-k8s.io
    jobset.x-k8s.io karpenter.sh keda.sh kubeflow.org kueue.x-k8s.io leaderworkerset.x-k8s.io metrics.k8s.io
    custom.metrics.k8s.io external.metrics.k8s.io monitoring.coreos.com networking.k8s.io node.k8s.io nvidia.com
    rbac.authorization.k8s.io ray.io resource.k8s.io scheduling.k8s.io serving.knative.dev serving.kserve.io
    snapshot.storage.k8s.io storage.k8s.io trainer.kubeflow.org volcano.sh
    """
)
"""API groups of Kubernetes and of the extensions that run on clusters with GPUs."""
RESOURCES = words(
    """
    nvidia.com/gpu nvidia.com/gpu.shared nvidia.com/gpu.product nvidia.com/gpu.count nvidia.com/gpu.memory amd.com/gpu
    kubernetes.io/hostname kubernetes.io/arch topology.kubernetes.io/zone topology.kubernetes.io/region
    node.kubernetes.io/instance-type node.kubernetes.io/unschedulable node.kubernetes.io/not-ready
    node.kubernetes.io/unreachable node.kubernetes.io/disk-pressure node.kubernetes.io/memory-pressure
    kueue.x-k8s.io/queue-name
    """
)
"""Resources and labels that every such cluster has."""
_CORE_GROUPS = words("apps batch autoscaling policy events")
_EFFECT = re.compile(r":(?:NoSchedule|PreferNoSchedule|NoExecute)$")
_VERSION = re.compile(r"v\d{1,2}(?:(?:alpha|beta)\d{1,2})?")
_IDENTIFIER = re.compile(
    r"[\w-]+(?:[./][\w-]+)*(?::[\w.-]+)*(?:@sha256:[0-9a-f]{6,64})?(?:=[\w.-]*)?(?::[A-Z]\w+)?", re.ASCII
)
"""What an allowed word may look like at all: no query, no fragment, no user, no scheme."""
_FIELD = re.compile(r"\.?(?:spec|status|metadata)(?:\.[a-z][A-Za-z]*|\[\d*\])+")
_FIELDS = words(
    "replicas phase conditions containers labels annotations selector template resources limits requests args image "
    "env tolerations affinity spec status metadata suspend metrics behavior capacity allocatable taints"
)
_NULLS = words("<none> <unknown> <unset> <nil> <pending> <invalid>")
"""What kubectl prints for nothing."""
_TAG = re.compile(r"<[A-Za-z/!?@#][^<>]{0,2000}>|<[A-Za-z/!?@#][^<>\s]{0,2000}")
_DEFINITION = re.compile(r"\[[^\[\]]{1,200}\]:\s{0,8}\S+")
_WORD = re.compile(r"\S+")
_PLAIN = re.compile(r"\(?[\w,;!?'\"+*~^$#=-]*\.?[,;!?)'\"]*", re.ASCII)
"""Words in which nothing can link."""
_EDGES = ".,;:!?()[]{}<>\"'`*“”‘’…"
_SEPARATORS = re.compile(r"[,;|(){}\"'`=→·:]")
_JOINT = re.compile(r"(?<=[a-z0-9)%])\.(?=[A-Z][a-z])")
"""A full stop without its space."""
_DEFANGED = re.compile(r"[\[({<]\s?(?:\.|dot|punkt)\s?[\])}>]")
_DEFANGED_AT = re.compile(r"[\[({<]\s?(?:@|at)\s?[\])}>]")
_DOTS = str.maketrans("。．｡․‧•∙⋅\\", "......../")
_RISKY = re.compile(
    r"""
    \](?:\(|\[)                                             # Markdown
  | [a-z][a-z0-9+.-]{0,30}:/{2}                             # any scheme
  | (?:^|[^a-z])(?:h[a-z*]{2}ps?|ftps?|wss?|sftp|ssh|git|file):[^\s]      # schemes with slashes left out
  | (?:javascript|vbscript|livescript|mailto|tel|sms|xmpp|sips?|callto|skype|magnet|facetime|intent|view-source|blob
      |slack|msteams|vscode|ms-[a-z]+):\S
  | data:[\w.+-]*[/;,]
  | //[\w\[]                                                # protocol-relative
  | (?:^|\W)www\d{0,3}\.
  | @\S                                                     # addresses, credentials, mentions
  | (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\d)                 # IPv4
  | (?<!\w)0x[0-9a-f]{1,8}\.
  | \[[0-9a-f:.]{0,40}:[0-9a-f.]{0,40}:[0-9a-z:.%]{0,60}\]  # IPv6
  | \blocalhost[:/]
  | [a-z0-9-]:\d{2,5}[/?\#]                                 # host:port/path
  | [^\s./:\])}>,"']\.[^\W\d_][\w-]+                        # a dotted name
  | <[a-z/!?]
  | (?:href|src|srcset|action|formaction|background|poster|cite|style|on[a-z]{3,20})=
  | \bxn--
    """,
    re.VERBOSE,
)


def strip(text: str, allowed: Collection[str] = ()) -> tuple[str, int]:
    """(the text without anything that could become a link, how much was removed).

    `allowed`: dotted identifiers of structured evidence; one stays as plain text where a word is exactly equal to it.
    """
    count = 0

    def gone(match: re.Match[str]) -> str:
        nonlocal count
        if match.group() in _NULLS:
            return match.group()
        count += 1
        return f" {REMOVED} "

    def word(match: re.Match[str]) -> str:
        nonlocal count
        kept = _judged(match.group(), allowed)
        count += kept is None
        return _marker(match.group()) if kept is None else kept

    text = clean(text[:MAX_TEXT])
    text = _DEFINITION.sub(gone, _TAG.sub(gone, text))
    return _WORD.sub(word, text).strip() if not count else " ".join(_WORD.sub(word, text).split()), count


def fold(word: str) -> str:
    """A word as the most lenient reader of it would see it."""
    for _ in range(3):
        if "%" in word:
            word = unquote(word, errors="ignore")
        if "&" in word:
            word = html.unescape(word)
    word = unicodedata.normalize("NFKD", clean(word))
    word = "".join(c for c in word if not unicodedata.combining(c)).casefold().translate(_DOTS)
    return _DEFANGED_AT.sub("@", _DEFANGED.sub(".", word))


def identifier(word: str) -> bool:
    """True for a word that may be allowed: a name, an image, a label, with nothing that only a link has."""
    return _IDENTIFIER.fullmatch(word) is not None and not re.match(r"[\w.-]+:/", word)


def _judged(word: str, allowed: Collection[str]) -> str | None:
    """The word as it may stand, or None."""
    if _PLAIN.fullmatch(word) or word == REMOVED or word.strip(".,;:!?()") in _NULLS:
        return word
    if len(word) > MAX_WORD:
        return None
    core = word.strip(_EDGES)
    if _vocabulary(core) or (core in allowed and identifier(core)):
        return word
    tail = _SEPARATORS.split(core)[-1]
    if 0 < len(tail) < len(core) and (_vocabulary(tail) or (tail in allowed and identifier(tail))):
        return None if _RISKY.search(fold(word[: word.rindex(tail)])) else word
    if not _RISKY.search(fold(word)):
        return word
    parts = _JOINT.split(word)
    if len(parts) == 1:
        return None
    judged = [_judged(part + ("." if part is not parts[-1] else ""), allowed) for part in parts]
    return None if None in judged else " ".join(part for part in judged if part)


def _vocabulary(word: str) -> bool:
    """True for API groups, kinds of them, resources that every cluster has, and paths of fields."""
    word = _EFFECT.sub("", word)
    group, _, version = word.partition("/")
    if word in RESOURCES or (group in GROUPS and (not version or _VERSION.fullmatch(version) is not None)):
        return True
    kind, _, rest = word.partition(".")
    if kind in KINDS and kind.isalpha() and (rest in GROUPS or rest in _CORE_GROUPS):
        return True
    last = word.rpartition(".")[2]
    return _FIELD.fullmatch(word) is not None and (last in _FIELDS or any(c.isupper() for c in last))


def _marker(word: str) -> str:
    """The marker, with the punctuation that closed the word."""
    end = word[len(word.rstrip(".,;:!?")) :]
    return REMOVED + end[:1]
