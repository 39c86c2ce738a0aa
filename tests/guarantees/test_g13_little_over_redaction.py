"""G13: at most 2 % of harmless diagnostic text is redacted. Size: 2,400 look-alikes; 60,000 in `make prove`."""

from __future__ import annotations

import pytest

from tests.tools.secrets import Source, look_alike
from tools.redact import WORLD_KEY, Redactor


def touched(count: int, seed: int) -> list[str]:
    """Look-alikes that came out changed."""
    source, redactor = Source(seed), Redactor(WORLD_KEY, known=["an-own-credential-1234"])
    texts = [look_alike(source) for _ in range(count)]
    return [text for text in texts if redactor.text(text)[0] != text]


def test_look_alikes() -> None:
    changed = touched(2400, seed=20261105)
    assert len(changed) <= 2400 * 0.02, changed[:5]


@pytest.mark.prove
def test_look_alikes_in_full() -> None:
    changed = touched(60_000, seed=20261106)
    assert len(changed) <= 60_000 * 0.02, changed[:5]


@pytest.mark.parametrize(
    "text",
    [
        "Llama-3.3-70B-Instruct",
        'Back-off pulling image "registry.example.com/llm/server:v2": ErrImagePull',
        "0/8 nodes are available: 8 node(s) didn't match Pod's node affinity/selector.",
        "nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3",
        "kv_cache_usage_perc",
        "vllm:gpu_prefix_cache_hits_total",
        "token rate 1200 tokens/s; max_model_len=131072",
        "ssh://git@github.com/example/repo.git",
        "$(HF_TOKEN)",
        "password: ${DB_PASSWORD}",
        "secret: /var/run/secrets/app/token",
    ],
)
def test_words_diagnoses_are_made_of(text: str) -> None:
    assert Redactor(WORLD_KEY).text(text) == (text, 0)
