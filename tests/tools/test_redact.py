"""The redactor: pseudonyms, cleaning of text, linear time, and that nothing is redacted twice."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tools.secrets import TEXT_SHAPES, Source
from tools.projection.marks import HiddenSecret
from tools.redact import WORLD_KEY, Redactor, is_redacted
from tools.redaction import patterns
from tools.redaction.cleaning import clean
from tools.redaction.names import is_secret, is_shown_env
from tools.types import JsonObject, Row

TOKEN = "ghp_" + "aB3d" * 9


def test_equal_secrets_stay_equal_and_others_differ() -> None:
    redactor = Redactor(WORLD_KEY)
    first, _ = redactor.text(f"a {TOKEN} b")
    second, _ = redactor.text(f"c {TOKEN} d")
    other, _ = redactor.text(f"a {TOKEN[::-1].replace('_phg', '') + 'x'} ghp_{'zZ9y' * 9} b")
    mark = first.split()[1]
    assert mark in second
    assert mark not in other
    assert mark.startswith("‹redacted:github:")


def test_the_key_of_the_installation_decides() -> None:
    assert Redactor(b"one" * 12).text(TOKEN) != Redactor(b"two" * 12).text(TOKEN)
    assert Redactor(WORLD_KEY).text(TOKEN) == Redactor(WORLD_KEY).text(TOKEN)


def test_counts_and_what_stands_around_stays() -> None:
    shown, count = Redactor(WORLD_KEY).text(f"user=ann password=hunter2x1 token={TOKEN} ok")
    assert count == 2
    assert shown.startswith("user=ann password=‹redacted:")
    assert shown.endswith(" ok")


@pytest.mark.parametrize(
    "text",
    ["password:hunter2abc", "db-password:all lower", "token:abc123def456", "secret:s", "api-key:abcdef", "pwd:9999999"],
)
def test_lower_case_alone_makes_nothing_harmless(text: str) -> None:
    name, _, value = text.partition(":")
    shown, count = Redactor(WORLD_KEY).text(text)
    assert (shown.startswith(f"{name}:‹redacted:"), count) == (len(value) > 2, int(len(value) > 2))


def test_redacted_values_are_recognised_anywhere() -> None:
    shown, _ = Redactor(WORLD_KEY).text(TOKEN)
    assert is_redacted({"a": [{"b": f"x{shown}"}]})
    assert is_redacted({shown: 1})
    assert not is_redacted({"a": [1, None, "redacted"]})


@pytest.mark.parametrize("name", sorted(TEXT_SHAPES))
def test_what_was_redacted_is_left_alone(name: str) -> None:
    redactor = Redactor(WORLD_KEY)
    shown, _ = redactor.text(TEXT_SHAPES[name](Source(1))[0])
    assert redactor.text(shown) == (shown, 0)


def test_keys_of_rows_and_of_objects_are_text_too() -> None:
    row = Row(key=f'{{token="{TOKEN}"}}', data={"labels": {TOKEN: "x", "b": "y"}, "n": 1})
    shown, count = Redactor(WORLD_KEY).row(row)
    assert TOKEN not in shown.model_dump_json()
    assert count >= 2
    labels = shown.data["labels"]
    assert isinstance(labels, dict)
    assert list(labels.values()) == ["x", "y"]


def test_a_secret_met_later_in_a_row_is_known_in_all_of_it() -> None:
    data: JsonObject = {"b": "started with zq8-Lantern-77", "a": [HiddenSecret("zq8-Lantern-77")]}
    shown, _ = Redactor(WORLD_KEY).row(Row(key="x", data=data))
    assert "Lantern" not in shown.model_dump_json()


def test_numbers_json_cannot_say() -> None:
    value, _ = Redactor(WORLD_KEY).value([float("nan"), float("inf"), -float("inf"), 1.5, True, None])
    assert value == ["NaN", "+Inf", "-Inf", 1.5, True, None]


def test_many_known_values_are_all_found() -> None:
    values = [f"k{n:04}-Value-{n * 7919}" for n in range(500)]
    redactor = Redactor(WORLD_KEY, known=values)
    text = " ".join(f"<{value}>" for value in values)
    shown, count = redactor.text(text)
    assert count == 500
    assert "Value" not in shown


# --- cleaning --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\tand tab", "two\nlines\tand tab"),
        ("crlf\r\nx\rhidden", "crlf\nxhidden"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]52;c;aGk=\x07clip", "clip"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x9d0;title\x9cx", "x"),
        ("a\x00b\x08c\x7f", "abc"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("ze\u200bro\u200d width\ufeff", "zero width"),
        ("tag\U000e0041\U000e0042s", "tags"),
        ("var\ufe0fiation", "variation"),
        ("hangul\u3164filler", "hangulfiller"),
        ("no\u00a0break", "no break"),
        ("line\u2028sep", "linesep"),
        ("lone\ud800surrogate", "lonesurrogate"),
        ("Grüße 日本語 ✓ 🚀", "Grüße 日本語 ✓ 🚀"),
    ],
)
def test_cleaning(text: str, expected: str) -> None:
    assert clean(text) == expected


def is_clean(text: str) -> None:
    """Whatever comes in, only printable text, newline and tab come out, and cleaning again changes nothing."""
    shown = clean(text)
    assert all(c.isprintable() or c in "\n\t" for c in shown)
    assert clean(shown) == shown
    assert "\x1b" not in shown


def finds_in_order(text: str) -> None:
    """Spans lie inside the text, in order, without overlap; the plain check never hides a span."""
    shown = clean(text)
    spans = patterns.find(shown)
    position = 0
    for start, end, _ in spans:
        assert position <= start < end <= len(shown)
        position = end
    assert not (patterns.is_plain(shown) and spans)


ODD = st.text(max_size=60) | st.text(alphabet="\x1b[]0;31m\x07\x9b\x9d\u200b\u202e ab\n", max_size=60)
SECRETIVE = st.lists(
    st.sampled_from(
        ["password", "token", ":", "=", " ", '"', "\\", "Bearer ", "eyJabcdefgh.", "://", "@", "key", "-", "--", "ghp_",
         "a1b2c3d4e5f6a1b2", "-----BEGIN PRIVATE KEY-----", "-----END", "Cookie: ", "is ", "\n", "abcdef.", "x"]
    ),
    max_size=12,
).map("".join)  # fmt: skip
SLICE = settings(max_examples=250, deadline=None, derandomize=True)
FULL = settings(max_examples=20_000, deadline=None)
test_any_text_comes_out_clean = SLICE(given(ODD)(is_clean))
test_spans = SLICE(given(SECRETIVE | ODD)(finds_in_order))
test_any_text_comes_out_clean_in_full = pytest.mark.prove(FULL(given(ODD)(is_clean)))
test_spans_in_full = pytest.mark.prove(FULL(given(SECRETIVE | ODD)(finds_in_order)))

HOSTILE = (
    "eyJ", "eyJaaaaaaaa.", "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN ", "://a:", "password=", 'password: "', "token is ",
    "a-", "api_key", "secret ", "Bearer ", "basic aaaaaa", "x-a-token: ", "authorization: ", '\\"password\\":', "?sig=",
    "abcdef.", "ghp_", "sk-", "SG.aaaaaaaaaaaaaaaaa.",
    "\x1b[", "\x1b]", "é\x9d", '{"token":', "api key: ", "%3D", "--", " ",
)  # fmt: skip


def seconds(unit: str, size: int) -> float:
    """Time to redact `size` characters of one repeated unit."""
    text = (unit * (size // len(unit) + 1))[:size]
    begun = time.process_time()
    Redactor(WORLD_KEY).text(text)
    return time.process_time() - begun


@pytest.mark.prove
@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    assert seconds(unit, 1_000_000) < max(1.0, 40 * seconds(unit, 100_000))


# --- names -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["password", "DB_PASSWORD", "api-key", "apiKey", "HF_TOKEN", "clientSecret", "AWS_SECRET_ACCESS_KEY", "token",
     "auth", "client-key-data", "private_key", "sslPwd", "WANDB_API_KEY", "NGC_API_KEY", "connectionString",
     "SENTRY_DSN", ".dockerconfigjson", "kubeconfig", "x-auth-token", "OPENAI_API_KEY", "session_cookie", "PGPASSWORD"],
)  # fmt: skip
def test_names_that_mean_secret(name: str) -> None:
    assert is_secret(name)
    assert not is_shown_env(name)


@pytest.mark.parametrize(
    "name",
    ["tokenizer", "max_tokens", "max-num-batched-tokens", "maxNumSeqs", "secretName", "secretKeyRef", "topologyKey",
     "key", "labelKey", "token-file", "imagePullSecrets", "automountServiceAccountToken", "tokens_per_second",
     "eos_token_id",
     "authMode", "monkey", "keyboard", "keep", "passthrough", "compass", "path", "model", "sort_key", "prompt_tokens"],
)  # fmt: skip
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "name", ["NCCL_DEBUG", "CUDA_VISIBLE_DEVICES", "VLLM_USE_V1", "OMP_NUM_THREADS", "MASTER_ADDR"]
)
def test_variables_that_are_shown(name: str) -> None:
    assert is_shown_env(name)


@pytest.mark.parametrize(
    "name", ["VLLM_API_KEY", "NCCL_TOKEN", "CUDA_SECRET", "RAY_PASSWORD", "FOO", "nccl_debug", "PATH"]
)
def test_variables_that_are_not(name: str) -> None:
    assert not is_shown_env(name)
