"""Names that say what their value is: a secret, perhaps one, or a setting that diagnosers need.

Rules: judged on the name alone, never on who set it; a name that means secret beats every allow-list.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SECRET = re.compile(
    r"[pP]wd$|passw(?:or)?d|passphrase|passwd|\bpwd\b|(?:^|[_.\- ])pwd|secret|token|credential"
    r"|(?:^|[_.\-])auth(?:$|[_.\-])"
    r"|authorization|bearer|cookie|api[_.\- ]?keys?|apikey|access[_.\-]?key|private[_.\-]?key|account[_.\-]?key"
    r"|client[_.\-]?key|signing[_.\-]?key|encryption[_.\-]?key|license[_.\-]?key|master[_.\-]?key|ssh[_.\-]?key"
    r"|shared[_.\-]?key|[_.\-]keys?$|connection[_.\-]?string|(?:^|[_.\-])dsn$|dockercfg|dockerconfig|kubeconfig"
    r"|webhook[_.\-]?url|(?:^|[_.\-])sas(?:$|[_.\-])|(?:^|[_.\-])pat$|(?:^|[_.\-])salt$|(?:^|[_.\-])otp$",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"tokenizer|tokens?[_.\- ]?(?:count|rate|limit|budget|len|length|per|usage|throughput|parallel)|"
    r"(?:max|min|num|total|prompt|generation|input|output|batched|new|cached)[_.\- ]?(?:\w{1,12}[_.\- ])?tokens?"
    r"|(?:^|[_.\- ])tokens$|tokens[_.\- ](?:in|out|total|sec|second|s)|automount\w*token"
    r"|secret[_.\-]?(?:name|ref|keyref|namespace|store|class|s?count)|(?:name|ref)$"
    r"|secrets?$(?<=imagepullsecrets)|(?:file|path|dir|mount|url_?path|expiry|expiration|seconds|ttl|enabled|type|mode)$"
    r"|sort[_.\-]?key|partition[_.\-]?key|topology[_.\-]?key|label[_.\-]?key|cache[_.\-]?key|primary[_.\-]?key"
    r"|key[_.\-]?(?:value|size|count|bits|algorithm|usage)|keyspace|special[_.\-]?tokens?|eos[_.\-]?token|bos[_.\-]?token"
    r"|pad[_.\-]?token|stop[_.\-]?token",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ENV_SHOWN = re.compile(
    r"(?:NCCL|CUDA|VLLM|OMP|NVIDIA|TORCH|PYTORCH|UCX|GLOO|MKL|OPENBLAS|SGLANG|TRTLLM|TENSORRT|RAY|XLA|JAX|TRITON"
    r"|DCGM_EXPORTER|OPENMPI|OMPI|PMIX|FI|MASTER|WORLD|NNODES|NPROC|PET|RANK|LOCAL|NODE_RANK|HF_HUB|TRANSFORMERS"
    r"|KUBERNETES|CULL|ENABLE_CULLING|DATALOADER|NUM)_[A-Z0-9_]{1,64}"
    r"|MASTER_ADDR|MASTER_PORT|WORLD_SIZE|RANK|LOCAL_RANK|HF_HOME|NUM_WORKERS|MODEL|MODEL_(?:NAME|ID|REVISION|PATH)"
    r"|LOG_LEVEL|TZ|LANG|GOMAXPROCS|GOMEMLIMIT|CULL_IDLE_TIME|ENABLE_CULLING|NODE_NAME|POD_NAME|POD_NAMESPACE"
)
"""Environment variables whose values diagnosers need: collective libraries, CUDA, inference engines, launchers."""


@lru_cache(maxsize=16_384)
def is_secret(name: str) -> bool:
    """True when a field, variable, flag or key of that name holds a secret."""
    if len(name) > 256:
        return True
    if not _SECRET.search(name):
        return False
    spaced = _CAMEL.sub("_", name)
    return not (_HARMLESS.search(spaced) or _HARMLESS.search(name))


@lru_cache(maxsize=4_096)
def is_shown_env(name: str) -> bool:
    """True when the value of an environment variable of that name may be shown."""
    upper = name.upper()
    if any(word in upper for word in ("TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL")):
        return False
    return _ENV_SHOWN.fullmatch(name) is not None and not is_secret(name)
