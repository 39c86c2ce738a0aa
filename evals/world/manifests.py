"""Small truths about manifests: identity, names as Kubernetes makes them, merge patches, field ownership."""

from __future__ import annotations

import hashlib
import uuid
from typing import TypeAlias

from pydantic import JsonValue

from tools.types import JsonObject, canonical

Identity: TypeAlias = tuple[str, str, str, str]
"""(API group, kind, namespace, name); "" for no namespace."""

_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of generated names (k8s.io/apimachinery/pkg/util/rand): no vowels, nothing easily confused."""
_SPACE = uuid.UUID("5b0e2c3a-8f0c-5f2b-9d8e-6c1d3f7a9b10")


def identity_of(body: JsonObject) -> Identity:
    """What makes two manifests the same object. Raises ValueError with what is missing."""
    version, kind, metadata = body.get("apiVersion"), body.get("kind"), body.get("metadata")
    if not isinstance(version, str) or not isinstance(kind, str) or not version or not kind:
        raise ValueError("an object needs apiVersion and kind")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise ValueError("an object needs metadata.name")
    group = version.rpartition("/")[0]
    return (group, kind, str(metadata.get("namespace") or ""), str(metadata["name"]))


def printed(identity: Identity) -> str:
    """An identity as people write it: `search/Deployment/chat-70b`."""
    _, kind, namespace, name = identity
    return f"{namespace}/{kind}/{name}" if namespace else f"{kind}/{name}"


def child(body: JsonValue, key: str) -> JsonObject:
    """The mapping under `key`, created where it is absent or null."""
    assert isinstance(body, dict)
    inner = body.get(key)
    if not isinstance(inner, dict):
        inner = {}
        body[key] = inner
    return inner


def mapping(body: JsonValue, *path: str) -> JsonObject:
    """The mapping at a path; empty where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}


def entries(body: JsonValue, *path: str) -> list[JsonObject]:
    """The mappings in the list at a path; none where there is no list."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return [entry for entry in body if isinstance(entry, dict)] if isinstance(body, list) else []


def text(body: JsonValue, *path: str) -> str:
    """The text at a path, "" where there is none; numbers and flags are printed as JSON does."""
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    if isinstance(body, bool):
        return "true" if body else "false"
    return str(body) if isinstance(body, str | int | float) else ""


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """JSON merge patch (RFC 7386) without touching either argument; parts are shared.

    One addition, for lists: `{$name: {vllm: {image: x}}}` patches the items whose `name` is given (null removes one,
    an unknown name adds one); `$type` and every other `$field` work alike, and `{$append: […]}` adds at the end.
    """
    if not isinstance(patch, dict):
        return patch
    if isinstance(target, list) and patch and all(key.startswith("$") for key in patch):
        return _patch_list(target, patch)
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge_patch(out.get(key), value)
    return out


def _patch_list(target: list[JsonValue], patch: JsonObject) -> list[JsonValue]:
    out = list(target)
    for directive, changes in patch.items():
        if directive == "$append":
            out += changes if isinstance(changes, list) else [changes]
            continue
        field = directive.removeprefix("$")
        for name, change in mapping(changes).items():
            found = [n for n, item in enumerate(out) if isinstance(item, dict) and text(item, field) == name]
            if change is None:
                out = [item for n, item in enumerate(out) if n not in found]
            elif found:
                out[found[0]] = merge_patch(out[found[0]], change)
            else:
                out.append(merge_patch({field: name}, change))
    return out


def uid_of(identity: Identity) -> str:
    """The uid a world gives an object that states none: stable for its identity."""
    return str(uuid.uuid5(_SPACE, "/".join(identity)))


def short_hash(length: int, *parts: object) -> str:
    """A name suffix as Kubernetes generates them, stable for its parts."""
    number = int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:12], "big")
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_SAFE))
        letters.append(_SAFE[rest])
    return "".join(letters)


def template_hash(template: JsonValue) -> str:
    """A pod-template-hash: changes whenever the template does."""
    return short_hash(9, canonical(template).decode("utf-8", "surrogatepass"))


def image_id(image: str, salt: str = "") -> str:
    """The digest form a kubelet reports for an image; an image pinned by digest stays as it is."""
    if "@sha256:" in image:
        return image
    name, _, tag = image.rpartition(":")
    repository = name if name and "/" not in tag else image
    return f"{repository}@sha256:{hashlib.sha256(f'{image}{salt}'.encode()).hexdigest()}"


_LIST_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "ports": "containerPort",
    "conditions": "type",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
}


def fields_v1(value: JsonValue) -> JsonObject:
    """The FieldsV1 set of everything in `value` (structured-merge-diff keys for the usual lists, others atomic)."""
    if not isinstance(value, dict):
        return {}
    out: JsonObject = {}
    for key, inner in value.items():
        listed = _LIST_KEYS.get(key)
        if isinstance(inner, list) and listed:
            out[f"f:{key}"] = _list_fields(inner, listed)
        else:
            out[f"f:{key}"] = fields_v1(inner)
    return out


def _list_fields(items: list[JsonValue], listed: str) -> JsonObject:
    out: JsonObject = {}
    for item in items:
        if isinstance(item, dict) and listed in item:
            name = canonical({listed: item[listed]}).decode()
            out[f"k:{name}"] = {".": {}, **fields_v1(item)}
    return out
