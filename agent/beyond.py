"""Questions that the grammar can read and Plumbline does not answer: what it says instead of seeming to.

Rules: tables only, in the form of agent/phrases.py; the first that fits tells.
"""

from __future__ import annotations

import re

from agent.phrases import compiled

ORDERS = (
    "propose|suggest|scale|restart|delete|drain|cordon|uncordon|kill|apply|patch|evict|roll back|rollback|increase"
    "|decrease|resize|suspend|resume|create|deploy|set|turn off|shut down|stop"
)
"""Words that open an order."""
_POLITE = "please |could you |can you |you should |go and |now "
_ORDER = re.compile(rf"(?:{_POLITE})*(?:{ORDERS})\b(?! (?:everything|anything) (?:all )?right)")
TABLE: tuple[tuple[str, str], ...] = (
    (
        "what does _ mean|meaning of|what is xid|what is an xid|explain xid*|define",
        "Codes and words are not looked up here.",
    ),
    (
        "list _ pods|list _ nodes|list _ deployments|list _ jobs|list _ services|list _ workloads|list all"
        "|show me _ pods|show _ pods|show me _ nodes|show _ nodes|show _ deployments|get pods|get nodes|which pods run"
        "|how many h100*|how many a100*|how many h200*|how many b200*|how many l40*|how many pods|how many nodes",
        "Objects are not listed or counted one by one here (kubectl get does that).",
    ),
    (
        "what is the ttft|what is our ttft|what is ttft|what is the latency|what is our latency|what is the throughput"
        "|what is our throughput|what is the p95|what is the p99|what is the p50|what is the time to first token"
        "|how high is the latency|how high is the ttft|what is the token rate|what is the current latency"
        "|what is the current ttft|what is the current throughput",
        "Values of latency and throughput are not read out here, only what makes them bad.",
    ),
)  # fmt: skip
_TABLE = tuple((tuple(compiled(p) for p in phrases.split("|")), said) for phrases, said in TABLE)
AN_ORDER = (
    "Nothing was changed or proposed: a change needs a target and a reason. Ask what is wrong, then `how do I fix it?`;"
    " or write a proposal with `proposals new CHANGE NAME=VALUE …` (docs/tools.md lists the changes)."
)


def beyond(plain: str) -> str:
    """What to say of a question (lower-case words, single spaces) that is not answered; "" for any other."""
    if _ORDER.match(plain):
        return AN_ORDER
    return next((said for patterns, said in _TABLE if any(pattern.search(plain) for pattern in patterns)), "")
