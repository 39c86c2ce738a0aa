"""Arguments of vLLM and SGLang in a container: found, read and set in whatever form the container writes them.

Forms: a list (`--flag value` or `--flag=value`), a shell script given to `-c`, an environment variable that holds
arguments, and a variable that an argument refers to. Rules: one argument is set where it stands and everything else
stays byte for byte; one that stands nowhere is added behind the others in their style; what is ambiguous is refused.
Flags: vllm/engine/arg_utils.py (dashes and underscores are the same there) and sglang/srt/server_args.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue

from tools import fields, shellwords
from tools.changes import Path
from tools.errors import Refused
from tools.naming import JsonObject

Value: TypeAlias = int | float | str | bool
FLAGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "vllm": {
        "max_num_seqs": ("--max-num-seqs",),
        "max_num_batched_tokens": ("--max-num-batched-tokens",),
        "max_model_len": ("--max-model-len",),
        "gpu_memory_utilization": ("--gpu-memory-utilization",),
        "tensor_parallel_size": ("--tensor-parallel-size", "-tp"),
        "kv_cache_dtype": ("--kv-cache-dtype",),
        "enable_prefix_caching": ("--enable-prefix-caching",),
        "enable_chunked_prefill": ("--enable-chunked-prefill",),
    },
    "sglang": {
        "max_running_requests": ("--max-running-requests",),
        "mem_fraction_static": ("--mem-fraction-static",),
        "chunked_prefill_size": ("--chunked-prefill-size",),
        "max_prefill_tokens": ("--max-prefill-tokens",),
        "context_length": ("--context-length",),
        "tensor_parallel_size": ("--tensor-parallel-size", "--tp-size", "--tp"),
    },
}
"""Engine → argument that may be set → its spellings, the one we add first."""
ARGS_ENV = ("VLLM_ADDITIONAL_ARGS", "VLLM_EXTRA_ARGS", "VLLM_ARGS", "SGLANG_EXTRA_ARGS", "EXTRA_ARGS")
"""Variables that hold arguments as one text; the first is KServe's for an LLMInferenceService."""
_SHELLS = ("sh", "bash", "dash", "ash", "zsh")
_REFERENCE = re.compile(r"\$(?:\(([A-Za-z_]\w*)\)|\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))", re.ASCII)
_SAFE = re.compile(r"[A-Za-z0-9._+-]{1,64}", re.ASCII)
_WHOLE = re.compile(r"""(["']?)([^"'\\`\s]*)\1""", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Text:
    """One string of a container: `args` or `command` at an index, or the value of `env` at one."""

    field: str
    index: int


@dataclass(frozen=True, slots=True)
class _Token:
    """A word that the engine sees, and the part of the string that it stands in."""

    home: _Text
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Line:
    """The words of one place that can hold arguments, in their order."""

    tokens: tuple[_Token, ...]
    listed: bool
    """True for a list, in which each word is an element of its own."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An argument where it stands; without a value of its own where it is a switch."""

    name: _Token
    value: _Token | None


def engine_of(container: JsonObject) -> str:
    """`vllm`, `sglang` or "": by the program it runs, its image, or its variables."""
    words = " ".join([*fields.texts(container, "command"), *fields.texts(container, "args")])
    image = fields.text(container, "image").partition("@")[0].rpartition("/")[2]
    names = " ".join(fields.text(one, "name") for one in fields.items(container, "env"))
    for text in (re.sub(r"\S*/", "", words), image, names):
        for engine in FLAGS:
            if re.search(rf"(?i)(?<![a-z]){engine}(?![a-z])", text):
                return engine
    return ""


def value_of(container: JsonObject, argument: str) -> str | bool | None:
    """What an argument is set to; None where it stands nowhere. Raises Refused where that cannot be told."""
    found = _find(container, argument)
    if found is None:
        return None
    if found.value is None:
        return not found.name.text.startswith("--no-")
    text = _value_text(found)
    referred = _REFERENCE.fullmatch(text)
    return _variable(container, _name(referred))[1] if referred else text


def setting(container: JsonObject, values: Mapping[str, Value]) -> dict[Path, JsonValue]:
    """The lists of a container that change when those arguments are set. Raises Refused where one cannot be."""
    made = container
    for argument, value in values.items():
        made = _set(made, argument, value)
    return {(key,): made[key] for key in ("command", "args", "env") if key in made and made[key] != container.get(key)}


def written(value: Value) -> str:
    """A value as an argument has it."""
    return str(value) if isinstance(value, int | str) else f"{value:.4f}".rstrip("0").rstrip(".")


# --- finding -------------------------------------------------------------------------------------------------


def _find(container: JsonObject, argument: str) -> _Found | None:
    engine = engine_of(container)
    spellings = FLAGS.get(engine, {}).get(argument)
    if spellings is None:
        raise Refused(f"{argument} is no argument of {engine or 'an engine known here'}")
    known = {*spellings, *(f"--no-{one[2:]}" for one in spellings if argument.startswith("enable_"))}
    found = [one for line in _lines(container) for one in _in_line(line, known, argument)]
    if len(found) > 1:
        raise Refused(f"{spellings[0]} stands in {len(found)} places")
    return found[0] if found else None


def _in_line(line: _Line, known: set[str], argument: str) -> Iterator[_Found]:
    for number, token in enumerate(line.tokens):
        flag, joined, _ = token.text.partition("=")
        if (f"--{flag[2:].replace('_', '-')}" if flag.startswith("--") else flag) not in known:
            continue
        if argument.startswith("enable_"):
            if joined:
                raise Refused(f"{flag} is given a value, which not every version takes")
            yield _Found(token, None)
        elif joined:
            yield _Found(token, token)
        elif number + 1 < len(line.tokens) and not line.tokens[number + 1].text.startswith("--"):
            yield _Found(token, line.tokens[number + 1])
        else:
            raise Refused(f"{flag} has no value")


def _lines(container: JsonObject) -> list[_Line]:
    """The places that can hold arguments, the likeliest to add one to first."""
    lists = {key: fields.dig(container, key) for key in ("command", "args")}
    words = [
        _Token(_Text(key, index), 0, len(text), text)
        for key, texts in lists.items()
        for index, text in enumerate(texts if isinstance(texts, list) else ())
        if isinstance(text, str)
    ]
    script = _script(words)
    if script is None:
        found = [_Line(tuple(w for w in words if w.home.field == key), listed=True) for key in ("args", "command")]
    else:
        found = [_engine_command(words[script])]
        if "$@" in words[script].text:
            found.insert(0, _Line(tuple(words[script + 2 :]), listed=True))  # the first is $0
    return [*(line for line in found if line.tokens), *_variables_with_arguments(container)]


def _script(words: list[_Token]) -> int | None:
    """Which word is a script: the one after `-c` (or `-lc` …) of a shell."""
    if not words or words[0].text.rpartition("/")[2] not in _SHELLS:
        return None
    for number, word in enumerate(words[1:-1], 1):
        if re.fullmatch(r"-[a-z]*c", word.text):
            return number + 1
        if not word.text.startswith(("-", "+", "pipefail")):
            break
    raise Refused("it runs a script that is not part of it")


def _engine_command(script: _Token) -> _Line:
    """The words of the one command of a script that starts an engine."""
    found = [words for words in shellwords.commands(script.text) if any(_starts_engine(word.text) for word in words)]
    if len(found) != 1:
        raise Refused(f"its script starts an engine {len(found)} times")
    return _Line(tuple(_Token(script.home, w.start, w.end, w.text) for w in found[0]), listed=False)


def _starts_engine(word: str) -> bool:
    program = word.rpartition("/")[2]
    return program in FLAGS or program.startswith(("vllm.entrypoints", "sglang.launch_server"))


def _variables_with_arguments(container: JsonObject) -> Iterator[_Line]:
    env = fields.dig(container, "env")
    for index, one in enumerate(env if isinstance(env, list) else ()):
        if fields.text(one, "name") not in ARGS_ENV:
            continue
        text = fields.text(one, "value")
        if not text and fields.mapping(one, "valueFrom"):
            raise Refused(f"{fields.text(one, 'name')} comes from another object")
        found = shellwords.commands(text)
        if len(found) > 1:
            raise Refused(f"{fields.text(one, 'name')} holds more than arguments")
        home = _Text("env", index)
        yield _Line(tuple(_Token(home, w.start, w.end, w.text) for w in (found or [[]])[0]), listed=False)


# --- setting -------------------------------------------------------------------------------------------------


def _set(container: JsonObject, argument: str, value: Value) -> JsonObject:
    found = _find(container, argument)
    flag = FLAGS[engine_of(container)][argument][0]
    text = written(value)
    if not isinstance(value, bool) and not _SAFE.fullmatch(text):
        raise Refused(f"{argument} cannot be written as an argument")
    if isinstance(value, bool):
        switch = flag if value else f"--no-{flag[2:]}"
        if found is None:
            return _added(container, switch, "")
        standing = not found.name.text.startswith("--no-")
        return container if standing is value else _replaced(container, found.name, switch)
    if found is None:
        return _added(container, flag, text)
    if found.value is None:
        raise Refused(f"{flag} has no value")
    if _number_or_text(value_of(container, argument)) == _number_or_text(text):
        return container
    referred = _REFERENCE.fullmatch(_value_text(found))
    if referred:
        return _with_variable(container, _name(referred), text)
    return _with_value(container, found, text)


def _number_or_text(value: JsonValue) -> JsonValue:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _with_value(container: JsonObject, found: _Found, text: str) -> JsonObject:
    token = found.value or found.name
    raw = _string(container, token.home)[token.start : token.end]
    head, _, tail = raw.partition("=") if found.value is found.name else ("", "", raw)
    whole = _WHOLE.fullmatch(tail)
    if whole is None or "$" in tail or (head and re.search(r"""["'\\$`]""", head)):
        raise Refused(f"the value of {found.name.text.partition('=')[0]} is worked out by a shell")
    kept = f"{head}=" if head else ""
    return _replaced(container, token, f"{kept}{whole[1]}{text}{whole[1]}")


def _added(container: JsonObject, flag: str, text: str) -> JsonObject:
    """The argument behind the others, in the style of most of them."""
    lines = _lines(container)
    if not lines:
        raise Refused("it writes no arguments of its own")
    line = lines[0]
    names = [token.text for token in line.tokens if token.text.startswith("--")]
    if "--" in names:
        raise Refused("its arguments end in --")
    joined = sum("=" in name for name in names) * 2 > len(names)
    words = [f"{flag}={text}"] if joined and text else [flag, text] if text else [flag]
    if not line.tokens:
        home = next(_Text("env", i) for i, one in enumerate(_list(container, "env")) if _is_empty_args(one))
        return _with_string(container, home, " ".join(words))
    last = line.tokens[-1]
    if line.listed:
        return {**container, last.home.field: [*_list(container, last.home.field), *words]}
    before = _string(container, last.home)
    return _with_string(container, last.home, f"{before[: last.end]} {' '.join(words)}{before[last.end :]}")


def _is_empty_args(one: JsonValue) -> bool:
    return fields.text(one, "name") in ARGS_ENV and not fields.text(one, "value").strip()


def _value_text(found: _Found) -> str:
    token = found.value or found.name
    return token.text.partition("=")[2] if found.value is found.name else token.text


def _name(referred: re.Match[str]) -> str:
    return next(group for group in referred.groups() if group)


def _variable(container: JsonObject, name: str) -> tuple[int, str]:
    """(index, value) of a variable. Raises Refused unless it stands there once, as itself, and is used once."""
    found = [(i, one) for i, one in enumerate(_list(container, "env")) if fields.text(one, "name") == name]
    if len(found) != 1 or not isinstance(fields.dig(found[0][1], "value"), str):
        raise Refused(f"variable {name} is not set to a value in the container")
    texts = [text for key in ("command", "args") for text in fields.texts(container, key)]
    texts += [fields.text(one, "value") for one in fields.items(container, "env")]
    used = sum(_name(match) == name for text in texts for match in _REFERENCE.finditer(text))
    if used != 1 or any(re.search(rf"(?<![\w$]){name}=", text) for text in texts):
        raise Refused(f"variable {name} is used more than once")
    return found[0][0], fields.text(found[0][1], "value")


def _with_variable(container: JsonObject, name: str, text: str) -> JsonObject:
    index, _ = _variable(container, name)
    return _with_string(container, _Text("env", index), text)


# --- strings of a container ----------------------------------------------------------------------------------


def _list(container: JsonObject, key: str) -> list[JsonValue]:
    found = fields.dig(container, key)
    return found if isinstance(found, list) else []


def _string(container: JsonObject, home: _Text) -> str:
    one = _list(container, home.field)[home.index]
    return fields.text(one, "value") if home.field == "env" else fields.text(one)


def _with_string(container: JsonObject, home: _Text, text: str) -> JsonObject:
    made = list(_list(container, home.field))
    one = made[home.index]
    made[home.index] = {**one, "value": text} if isinstance(one, dict) else text
    return {**container, home.field: made}


def _replaced(container: JsonObject, token: _Token, text: str) -> JsonObject:
    before = _string(container, token.home)
    return _with_string(container, token.home, before[: token.start] + text + before[token.end :])
