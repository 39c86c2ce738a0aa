"""Hides, by structure, the values that must not be shown: variables, flags, headers, credentials in any object.

Rules: judged by field names and kinds, never by how the caller spelled the resource; works in place on raw items,
which are ours to consume; unknown kinds get the same treatment as known ones.
"""

from __future__ import annotations

import re

from pydantic import JsonValue

from tools.projection.marks import Hidden, HiddenSecret, long
from tools.redaction.names import is_secret, is_shown_env
from tools.types import JsonObject

CONFIG_BYTES = 16 << 10
"""Characters of one ConfigMap value that are looked at; longer ones are named with their length only."""
_FLAG = re.compile(r"-{1,2}([A-Za-z][\w.-]{0,127})(?:=(.*))?", re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w{0,127})=(.*)", re.DOTALL)
_WHOLE = frozenset({"stringData", "encryptedData", "caBundle"})
"""Fields hidden with everything in them."""
_NAMES = frozenset({"imagePullSecrets", "secrets", "pullSecrets"})
"""Fields that hold names of Secrets, not their values."""


def hide(root: JsonObject) -> None:
    """Hide values anywhere in an object, in place and without recursion."""
    stack: list[JsonValue] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if node.get("kind") == "Secret":
                _hide_all(node, "data")
            for key, value in node.items():
                if value is None or value == "":
                    continue
                replaced = _field(key, value)
                if replaced is not value:
                    node[key] = replaced
                elif isinstance(value, dict | list):
                    stack.append(value)
        elif isinstance(node, list):
            stack.extend(item for item in node if isinstance(item, dict | list))


def _field(key: str, value: JsonValue) -> JsonValue:
    """What stands under `key` instead; the same object where nothing is to hide at this level."""
    if isinstance(value, str):
        if key in _WHOLE or is_secret(key):
            return secret(value)
        return long(value)
    if key in _WHOLE:
        return _all_hidden(value)
    if not isinstance(value, list):
        return value
    if key == "env":
        return [_variable(item) for item in value]
    if key in ("args", "command"):
        return arguments(value)
    if key == "httpHeaders":
        return [_named_value(item) for item in value]
    if key not in _NAMES and is_secret(key):
        return [secret(item) if isinstance(item, str) else item for item in value]
    return value


def _hide_all(node: JsonObject, key: str) -> None:
    if key in node:
        node[key] = _all_hidden(node[key])


def _all_hidden(value: JsonValue) -> JsonValue:
    """Names stay, every value goes."""
    if isinstance(value, dict):
        return {name: _all_hidden(item) for name, item in list(value.items())[:1000]}
    if isinstance(value, list):
        return f"{len(value)} values"
    return secret(value) if isinstance(value, str) else None


def secret(value: str) -> str:
    """A value hidden by its name; remembered only where it could not be an everyday word."""
    everyday = len(value) < 8 or (value.isalpha() and value.islower() and len(value) < 16) or value.isdigit()
    return Hidden(value) if everyday else HiddenSecret(value)


def _variable(item: JsonValue) -> JsonValue:
    """An environment variable: its name, its source, its value only where the name is on the list."""
    if not isinstance(item, dict) or not isinstance(item.get("value"), str) or not item["value"]:
        return item
    name, value = item.get("name"), str(item["value"])
    if isinstance(name, str) and is_shown_env(name):
        return {"name": name, "value": long(value)}
    hidden = secret(value) if not isinstance(name, str) or is_secret(name) else Hidden(value)
    return {"name": name, "value": hidden}


def _named_value(item: JsonValue) -> JsonValue:
    if not isinstance(item, dict) or not isinstance(item.get("value"), str):
        return item
    name = item.get("name")
    secretive = isinstance(name, str) and is_secret(name)
    return {"name": name, "value": secret(str(item["value"])) if secretive else Hidden(str(item["value"]))}


def arguments(values: list[JsonValue]) -> list[JsonValue]:
    """Command words without what follows a secret flag (`--api-key VALUE`, `--api-key=VALUE`, `TOKEN=VALUE`)."""
    shown: list[JsonValue] = []
    follows = False
    for value in values:
        if not isinstance(value, str):
            shown.append(value)
            follows = False
            continue
        if follows and not value.startswith("--"):
            shown.append(secret(value))
            follows = False
            continue
        word, follows = _word(value)
        shown.extend(word)
    return shown


def _word(value: str) -> tuple[list[JsonValue], bool]:
    """One command word as shown, and whether the next one is its secret value."""
    match = _FLAG.fullmatch(value)
    if match is not None and is_secret(match.group(1)):
        flag, given = match.group(1), match.group(2)
        if given is None:
            return [value], True
        return [value[: value.index("=")], secret(given)] if given and flag else [value], False
    assigned = _ASSIGNMENT.fullmatch(value)
    if assigned is not None and assigned.group(2) and is_secret(assigned.group(1)):
        return [assigned.group(1), secret(assigned.group(2))], False
    return [value], False


def config_data(data: JsonObject) -> JsonObject:
    """The data of a ConfigMap: values of secret names hidden, long ones replaced by their length."""
    shown: JsonObject = {}
    for key, value in data.items():
        if not isinstance(value, str):
            shown[key] = value
        elif is_secret(key) or is_secret(key.rpartition(".")[0]) or _looks_like_credentials(value):
            shown[key] = secret(value)
        elif len(value) > CONFIG_BYTES:
            shown[key] = f"{len(value):,} characters, not shown"
        else:
            shown[key] = value
    return shown


def _looks_like_credentials(value: str) -> bool:
    """A kubeconfig, a Docker configuration or a Secret manifest, whatever the key is called."""
    head = value[:CONFIG_BYTES]
    return (
        "client-key-data" in head
        or ("kind: Config" in head and "users:" in head)
        or ('"auths"' in head and '"auth"' in head)
        or ("kind: Secret" in head and "ata:" in head)
    )
