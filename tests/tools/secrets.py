"""Generated secrets in the shapes clusters hold them, and harmless text that looks like them. Nothing here is real.

The generator draws from a seed; no rule of the redactor was written against a particular value of it.
"""

from __future__ import annotations

import base64
import json
import random
import string
import urllib.parse
import uuid
from collections.abc import Callable

from tools.types import JsonObject

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"


class Source:
    """Random material of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, alphabet: str, low: int, high: int | None = None) -> str:
        """A word of `low` to `high` characters."""
        return "".join(self.random.choices(alphabet, k=self.random.randint(low, high or low)))

    def hex(self, length: int) -> str:
        """Lower-case hex digits."""
        return self.pick("0123456789abcdef", length)

    def password(self) -> str:
        """A password as generators make them: letters, digits and some punctuation, at least one digit."""
        return (
            self.pick(ALNUM, 5, 14) + self.pick("!#%*+^~_.", 1, 2) + self.pick(ALNUM, 3, 8) + self.pick("0123456789", 1)
        )

    def b64(self, size: int) -> str:
        """Base64 of random bytes."""
        return base64.b64encode(self.random.randbytes(size)).decode()

    def jwt(self) -> str:
        """A signed token's three parts."""
        header = (
            base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "kid": self.hex(8)}).encode()).decode().rstrip("=")
        )
        body = {"iss": "kubernetes/serviceaccount", "sub": self.pick(ALNUM, 12), "exp": self.random.randint(1, 10**9)}
        payload = base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")
        return f"{header}.{payload}.{self.pick(URLSAFE, 86)}"

    def pem_body(self) -> str:
        """The lines of a private key."""
        raw = self.b64(96)
        return "\n".join(raw[i : i + 64] for i in range(0, len(raw), 64))


Shape = Callable[[Source], tuple[str, list[str]]]
"""Makes a text and the secrets in it that must not survive."""


def _token(prefix: str, alphabet: str, length: int, *frames: str) -> Shape:
    def make(source: Source) -> tuple[str, list[str]]:
        token = prefix + source.pick(alphabet, length)
        frame = source.random.choice(frames or ("using {} now", "got {}", '{{"value":"{}"}}', "--arg={} next", "{}"))
        return frame.format(token), [token]

    return make


def _value(make_value: Callable[[Source], str], *frames: str) -> Shape:
    def make(source: Source) -> tuple[str, list[str]]:
        value = make_value(source)
        return source.random.choice(frames).format(value), [value]

    return make


def _pem(kind: str, *, escaped: bool) -> Shape:
    def make(source: Source) -> tuple[str, list[str]]:
        body = source.pem_body()
        text = f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
        return (json.dumps({"key": text}) if escaped else f"loaded:\n{text}done"), body.split("\n")

    return make


def _basic(source: Source) -> tuple[str, list[str]]:
    encoded = base64.b64encode(f"svc:{source.password()}".encode()).decode()
    return f"> Authorization: Basic {encoded}", [encoded]


def _docker(source: Source) -> tuple[str, list[str]]:
    auth = base64.b64encode(f"robot:{source.password()}".encode()).decode()
    return json.dumps({"auths": {"registry.example.com": {"auth": auth}}}), [auth]


def _kubeconfig(source: Source) -> tuple[str, list[str]]:
    key = base64.b64encode(b"-----BEGIN RSA PRIVATE KEY-----\n" + source.pem_body().encode()).decode()
    return f"users:\n- name: admin\n  user:\n    client-key-data: {key}\n", [key]


def _manifest(source: Source) -> tuple[str, list[str]]:
    value = base64.b64encode(source.password().encode()).decode()
    return f"apiVersion: v1\nkind: Secret\ndata:\n  password: {value}\ntype: Opaque", [value]


def _split(source: Source) -> tuple[str, list[str]]:
    token = "ghp_" + source.pick(ALNUM, 36)
    cut = source.random.randint(5, 30)
    return f"push with {token[:cut]}\x1b[31m{token[cut:]} failed", [token, token[cut:]]


def _zero_width(source: Source) -> tuple[str, list[str]]:
    token = "hf_" + source.pick(ALNUM, 34)
    return f"token {token[:9]}\u200b{token[9:]}", [token, token[9:]]


def _encoded_url(source: Source) -> tuple[str, list[str]]:
    token = source.jwt()
    return "GET /login?next=" + urllib.parse.quote(f"https://a.example/?t={token}", safe=""), [token]


TEXT_SHAPES: dict[str, Shape] = {
    "jwt": lambda s: (lambda t: (f"token {t} expired", [t]))(s.jwt()),
    "bearer jwt": lambda s: (lambda t: (f"Authorization: Bearer {t}", [t]))(s.jwt()),
    "bearer opaque": _value(lambda s: s.pick(ALNUM, 32, 48), "Authorization: Bearer {}",
                            "curl -H 'authorization: bearer {}'"),
    "basic": _basic,
    "aws id": _token("AKIA", string.ascii_uppercase + "234567", 16),
    "aws session id": _token("ASIA", string.ascii_uppercase + "234567", 16),
    "aws secret": _value(lambda s: s.b64(30),
                         "aws_secret_access_key = {}", "AWS_SECRET_ACCESS_KEY={}", '"SecretAccessKey": "{}"'),
    "azure account": _value(
        lambda s: s.b64(64),
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=core.windows.net"
    ),
    "azure sas": _value(
        lambda s: urllib.parse.quote(s.b64(32), safe=""), "https://x.blob.core.windows.net/c/m?sv=2024-01-01&sp=r&sig={}"
    ),
    "azure client": lambda s: (lambda t: (f"client secret {t}", [t]))(
        s.pick(ALNUM, 3) + "8Q~" + s.pick(ALNUM + "_~.-", 34)
    ),
    "gcp key": _token("AIza", URLSAFE, 35),
    "gcp oauth": _token("ya29.", URLSAFE, 60),
    "gcp client": _token("GOCSPX-", URLSAFE, 28),
    "github classic": _token("ghp_", ALNUM, 36),
    "github server": _token("ghs_", ALNUM, 36),
    "github fine": _token("github_pat_", ALNUM + "_", 82),
    "gitlab": _token("glpat-", URLSAFE, 20),
    "gitlab runner": _token("glrt-", URLSAFE, 20),
    "slack bot": _token("xoxb-", string.digits + "-" + ALNUM, 48),
    "slack app": _token("xapp-1-", ALNUM + "-", 60),
    "slack hook": _value(lambda s: f"T{s.pick('0123456789ABC', 9)}/B{s.pick('0123456789ABC', 9)}/{s.pick(ALNUM, 24)}",
                         "posting to https://hooks.slack.com/services/{}"),
    "hugging face": _token("hf_", ALNUM, 34),
    "nvidia": _token("nvapi-", URLSAFE, 64),
    "openai project": _token("sk-proj-", URLSAFE, 74),
    "openai": _token("sk-", ALNUM, 48),
    "stripe": _token("sk_live_", ALNUM, 24),
    "vault": _token("hvs.", URLSAFE, 90),
    "npm": _token("npm_", ALNUM, 36),
    "docker hub": _token("dckr_pat_", URLSAFE, 27),
    "sendgrid": lambda s: (lambda t: (f"mail key {t}", [t]))(f"SG.{s.pick(URLSAFE, 22)}.{s.pick(URLSAFE, 43)}"),
    "databricks": lambda s: (lambda t: (f"using {t}", [t]))("dapi" + s.hex(32)),
    "grafana": lambda s: (lambda t: (f"using {t}", [t]))(f"glsa_{s.pick(ALNUM, 32)}_{s.hex(8)}"),
    "bootstrap": lambda s: (lambda t: (f"kubeadm join 10.0.0.1:6443 --token {t}", [t]))(
        f"{s.pick(string.ascii_lowercase + string.digits, 6)}.{s.pick(string.ascii_lowercase + string.digits, 16)}"
    ),
    "pem": _pem("RSA PRIVATE KEY", escaped=False),
    "pem pkcs8": _pem("PRIVATE KEY", escaped=False),
    "pem openssh": _pem("OPENSSH PRIVATE KEY", escaped=False),
    "pem escaped": _pem("EC PRIVATE KEY", escaped=True),
    "userinfo": _value(lambda s: urllib.parse.quote(s.password(), safe=""), "dial postgres://app:{}@db.search.svc:5432/main",
                       "redis://:{}@cache:6379/0", "cloning https://bot:{}@git.example.com/x.git"),
    "url token user": lambda s: (lambda t: (f"fetch https://{t}@git.example.com/x", [t]))("ghp_" + s.pick(ALNUM, 36)),
    "env password": _value(Source.password, "DB_PASSWORD={}", "export MYSQL_ROOT_PASSWORD='{}'", "PGPASSWORD={} psql"),
    "yaml password": _value(Source.password, "  password: {}", 'adminPassword: "{}"', "db_passwd: {}"),
    "json password": _value(Source.password, '{{"user":"a","password":"{}"}}', '{{\\"password\\":\\"{}\\"}}'),
    "flag": _value(lambda s: s.pick(ALNUM, 20), "serve --api-key {} --port 8000", "run --hf-token={}",
                   "x --password {}"),
    "api key": _value(lambda s: s.pick(ALNUM, 32), "api_key={}", "X-Api-Key: {}", '"apiKey": "{}"', "API key: {}"),
    "cookie": _value(lambda s: s.pick(ALNUM, 40), "Cookie: session={}", "set-cookie: sid={}; Path=/"),
    "client secret": _value(lambda s: s.pick(URLSAFE, 40), "client_secret={}&grant_type=x", '"client_secret": "{}"'),
    "access token": _value(lambda s: s.pick(URLSAFE, 40), "access_token={}", '"refresh_token":"{}"',
                           "?access_token={}&x=1"),
    "docker config": _docker,
    "kubeconfig": _kubeconfig,
    "secret manifest": _manifest,
    "wandb": _value(lambda s: s.hex(40), "WANDB_API_KEY={}", "wandb_api_key: {}"),
    "said": _value(Source.password, "the password is '{}'", "password was \"{}\"", "root password: {}"),
    "split by ansi": _split,
    "split by zero width": _zero_width,
    "url encoded": _encoded_url,
}  # fmt: skip


def structured(source: Source, number: int) -> tuple[JsonObject, list[str]]:
    """A workload with secrets in every place where structure says that they are secret."""
    made: list[str] = []

    def fresh() -> str:
        value = source.password() if source.random.random() < 0.5 else source.pick(ALNUM, 12, 40) + "7"
        made.append(value)
        return value

    def encoded() -> str:
        value = source.b64(24)
        made.append(value)
        return value

    applied = json.dumps({"spec": {"template": {"spec": {"containers": [
        {"name": "main", "env": [{"name": "PLAIN", "value": fresh()}]}]}}}, "data": {"x": fresh()}})  # fmt: skip
    container: JsonObject = {
        "name": "main",
        "image": "registry.example.com/app:1",
        "args": ["--api-key", fresh(), f"--hf-token={fresh()}", "--port", "8000", f"ADMIN_PASSWORD={fresh()}"],
        "command": ["/bin/app", "--password", fresh()],
        "env": [
            {"name": "DB_PASSWORD", "value": fresh()},
            {"name": "UNLISTED", "value": fresh()},
            {"name": "VLLM_API_KEY", "value": fresh()},
            {"name": "NCCL_AUTH_TOKEN", "value": fresh()},
        ],
        "livenessProbe": {"httpGet": {"path": "/", "port": 1, "httpHeaders": [{"name": "X-Odd", "value": fresh()}]}},
    }
    item: JsonObject = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": f"app-{number}",
            "namespace": "search",
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": applied,
                "example.com/api-token": fresh(),
            },
        },
        "spec": {
            "template": {"spec": {"containers": [container], "initContainers": [dict(container, name="init")]}},
            "webhooks": [{"clientConfig": {"caBundle": encoded()}}],
            "config": {"clientSecret": fresh(), "nested": [{"accessKey": fresh(), "privateKey": fresh()}]},
            "template2": {"kind": "Secret", "data": {"x": encoded()}, "stringData": {"y": fresh()}},
        },
        "status": {"credentials": fresh(), "tokens": {"authToken": fresh()}},
    }
    return item, made


def config_map(source: Source) -> tuple[JsonObject, list[str]]:
    """A ConfigMap that holds credentials in files and keys."""
    secret, key, auth = source.password(), source.b64(48), base64.b64encode(f"a:{source.password()}".encode()).decode()
    item: JsonObject = {
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "search"},
        "data": {
            "admin.password": secret,
            "config": f"apiVersion: v1\nkind: Config\nusers:\n- user:\n    client-key-data: {key}\n",
            "pull.json": json.dumps({"auths": {"r.example.com": {"auth": auth}}}),
            "level": "debug",
        },
        "binaryData": {"keystore.jks": source.b64(40)},
    }
    return item, [secret, key, auth]


def look_alike(source: Source) -> str:
    """Harmless text of the kinds that diagnoses are made of."""
    r = source.random
    u = str(uuid.UUID(int=r.getrandbits(128), version=4))
    number = r.randint(0, 100_000)
    safe = "bcdfghjklmnpqrstvwxz2456789"
    choices: list[Callable[[], str]] = [
        lambda: "sha256:" + source.hex(64),
        lambda: f"nvcr.io/nvidia/tritonserver@sha256:{source.hex(64)}",
        lambda: f"docker.io/vllm/vllm-openai:v0.{r.randint(1, 20)}.{r.randint(0, 9)}",
        lambda: u,
        lambda: f"GPU-{u}",
        lambda: f"MIG-{u}",
        lambda: f"chat-70b-{source.pick(safe, 10)}-{source.pick(safe, 5)}",
        lambda: f"containerd://{source.hex(64)}",
        lambda: f"pvc-{u}",
        lambda: f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(0, 255)}:8000",
        lambda: f"2026-11-{r.randint(1, 28):02}T{r.randint(0, 23):02}:00:00.{number:06}Z",
        lambda: f'sum by (namespace, pod) (rate(vllm:generation_tokens_total{{model_name="m{number}"}}[5m]))',
        lambda: f'max(DCGM_FI_DEV_GPU_UTIL{{Hostname="gpu-{number}",exported_namespace="team-a"}}) by (gpu)',
        lambda: f"vllm:prompt_tokens_total {number}",
        lambda: f"Avg prompt throughput: {number / 10} tokens/s, Avg generation throughput: 0.0 tokens/s",
        lambda: f"--max-num-batched-tokens={number}",
        lambda: f"max_tokens: {number}",
        lambda: f"--tokenizer=meta-llama/Llama-3.{r.randint(1, 3)}-70B-Instruct",
        lambda: f'Secret "hf-token-{number}" not found',
        lambda: f'MountVolume.SetUp failed for volume "creds" : secret "db-credentials-{number}" not found',
        lambda: f"secretName: tls-{number}",
        lambda: f"imagePullSecrets: registry-{number}",
        lambda: f"topologyKey: topology.kubernetes.io/zone-{number}",
        lambda: f"key nvidia.com/gpu.product in (NVIDIA-H100-80GB-HBM3) #{number}",
        lambda: f"0/{r.randint(1, 99)} nodes are available: {number} Insufficient nvidia.com/gpu. preemption: 0/8",
        lambda: f"failed to pull image: authorization failed: no basic auth credentials (attempt {number})",
        lambda: f"Error: ErrImagePull: 401 Unauthorized: token has expired after {number}s",
        lambda: f"resourceVersion {source.pick('0123456789', 9)}",
        lambda: f"revision main@sha1:{source.hex(40)}",
        lambda: f"https://git.example.com/team/repo-{number}/commit/{source.hex(40)}",
        lambda: f"controller-revision-hash={source.hex(10)}",
        lambda: f"http://chat-{number}.search.svc.cluster.local:8000/v1/chat/completions",
        lambda: f"search.{source.pick(string.ascii_lowercase, 16)}",
        lambda: f"NVRM: Xid (PCI:0000:{source.hex(2)}:00): 79, pid={number}, GPU has fallen off the bus.",
        lambda: f"ghcr.io/example/sk-tools-{number}:latest",
        lambda: f"KV cache usage: {number / 1000:.1f}%, Prefix cache hit rate: 3.{number}%",
        lambda: f"session affinity ClientIP timeout {number}",
        lambda: f"authentication mode is x509, key usage digital signature, {number} certs",
        lambda: f"eos_token_id={number} pad_token_id={number + 1}",
        lambda: f"passed {number} tests, token bucket refilled",
    ]  # fmt: skip
    return r.choice(choices)()
