"""Changes values in YAML text in place, so that everything else, comments included, stays byte for byte as it was.

Rules: an edit is a path and a value; the text is read again afterwards and must hold exactly what was wanted, else
nothing is returned; text that tools.documents refuses (anchors, aliases, tags) is not edited.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, TypeAlias

import yaml
from pydantic import JsonValue

from tools.documents import load_yaml_documents
from tools.errors import DocumentError

Path: TypeAlias = tuple[str | int, ...]
MAX_EDITS: Final = 200
_BLOCK_SCALARS: Final = ("|", ">")


@dataclass(frozen=True, slots=True)
class Edit:
    """A value to set, or with `remove` a key to take away."""

    path: Path
    value: JsonValue = None
    remove: bool = False


class _Indented(yaml.SafeDumper):
    """Lists deeper than their keys, as many manifests have them."""

    def increase_indent(self, *args: object, **more: object) -> None:
        """Never without an indent."""
        return super().increase_indent(flow=bool(args[0] if args else more.get("flow")), indentless=False)


def edited(text: str, edits: Sequence[Edit], *, document: int = 0, name: str) -> str:
    """The text with the edits made in its n-th non-empty document.

    Raises DocumentError naming `name` where it is no YAML we read, or where an edit cannot be made in place.
    """
    if len(edits) > MAX_EDITS:
        raise DocumentError(name, None, "", f"more than {MAX_EDITS} edits")
    wanted = load_yaml_documents(text, name=name)
    if not 0 <= document < len(wanted):
        raise DocumentError(name, None, "", f"there is no document {document + 1}")
    for edit in edits:
        text = _Sheet(text, document, name).edit(edit)
        wanted[document] = applied(wanted[document], edit)
    if load_yaml_documents(text, name=name) != wanted:
        raise DocumentError(name, None, "", "this cannot be changed in place")
    return text


def written(data: JsonValue) -> str:
    """A new document, as people write manifests."""
    return _block(data, indented=False)


def applied(data: JsonValue, edit: Edit) -> JsonValue:
    """What a document becomes under an edit; objects on the way are made, lists are not."""
    data = copy.deepcopy(data)
    if not edit.path:
        return edit.value
    if data is None:
        data = {}
    here: JsonValue = data
    for key, following in zip(edit.path, (*edit.path[1:], None), strict=True):
        last = following is None
        if isinstance(here, list) and isinstance(key, int) and 0 <= key < len(here):
            if last:
                here[key] = copy.deepcopy(edit.value)
            else:
                here = here[key]
        elif isinstance(here, dict) and isinstance(key, str):
            if last and edit.remove:
                here.pop(key, None)
            elif last:
                here[key] = copy.deepcopy(edit.value)
            else:
                if here.get(key) is None:
                    here[key] = {}
                here = here[key]
        else:
            raise ValueError(f"no place for {key!r}")
    return data


class _Sheet:
    """One text and the nodes of one of its documents."""

    def __init__(self, text: str, document: int, name: str) -> None:
        self._text = text
        self._name = name
        nodes = [node for node in yaml.compose_all(text, Loader=yaml.SafeLoader) if not _is_null(node)]
        self._root = nodes[document]
        self._indented = _indents(self._root)

    def edit(self, edit: Edit) -> str:
        """The text with one edit made."""
        node, above = self._root, None
        for at, key in enumerate(edit.path):
            inner = _child(node, key)
            if inner is None:
                return self._text if edit.remove else self._grow(node, above, edit.path[at:], edit.value)
            node, above = inner, (node, key)
        if edit.remove:
            return self._without(*above) if above else self._fail()
        return self._set(node, above, edit.value)

    # --- values --------------------------------------------------------------------------------------------

    def _set(self, node: yaml.Node, above: tuple[yaml.Node, str | int] | None, value: JsonValue) -> str:
        if isinstance(node, yaml.SequenceNode) and isinstance(value, list) and node.value and value:
            return self._list(node, value)
        plain = not isinstance(value, dict | list) or not value
        if isinstance(node, yaml.ScalarNode) and plain and node.style not in _BLOCK_SCALARS:
            start, end = node.start_mark.index, node.end_mark.index
            gap = " " if start == end and self._text[start - 1 : start] not in (" ", "") else ""
            return self._splice(start, end, gap + _flow(value, style=node.style))
        if above is None or _in_flow(above[0]):
            return self._splice(node.start_mark.index, _end(node), _flow(value))
        return self._replace(node, above, value)

    def _replace(self, node: yaml.Node, above: tuple[yaml.Node, str | int], value: JsonValue) -> str:
        """A block value in the place of another: what stood between the key and its end goes."""
        parent, key = above
        if not isinstance(parent, yaml.MappingNode):
            return self._fail()
        name = next(k for k, _ in parent.value if k.value == key)
        start = self._text.index(":", name.end_mark.index) + 1
        end = max(_end(node), start)
        tail = "\n" if self._text[end - 1 : end] == "\n" else ""
        return self._splice(start, end, self._valued(value, name.start_mark.column) + tail)

    def _list(self, node: yaml.SequenceNode, value: list[JsonValue]) -> str:
        """The list changed item by item, from its end, so that comments between items stay."""
        old = [_data(item) for item in node.value]
        if node.flow_style:
            return self._splice(node.start_mark.index, node.end_mark.index, _flow(value))
        keys = [repr(item) for item in old]
        matcher = SequenceMatcher(None, keys, [repr(item) for item in value], autojunk=False)
        pad = " " * node.start_mark.column
        for sort, a, b, c, d in reversed(matcher.get_opcodes()):
            if sort == "equal":
                continue
            lines = self._text.splitlines(keepends=True)
            first = node.value[a].start_mark.line if a < len(old) else self._line_after(node.value[-1])
            last = self._line_after(node.value[b - 1]) if b > a else first
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += "\n"
            lines[first:last] = [self._item(item, pad) for item in value[c:d]]
            self._text = "".join(lines)
        return self._text

    def _item(self, value: JsonValue, pad: str) -> str:
        body = _block(value, indented=self._indented) if isinstance(value, dict | list) and value else _flow(value)
        first, *rest = body.splitlines()
        return "".join(f"{line}\n" for line in (f"{pad}- {first}", *(f"{pad}  {line}" for line in rest)))

    # --- keys ----------------------------------------------------------------------------------------------

    def _grow(self, node: yaml.Node, above: tuple[yaml.Node, str | int] | None, path: Path, value: JsonValue) -> str:
        """Add the first key of `path` to a mapping, with the rest of it below."""
        if not all(isinstance(key, str) for key in path):
            return self._fail()
        for key in reversed(path[1:]):
            value = {str(key): value}
        key = str(path[0])
        if isinstance(node, yaml.ScalarNode) and _is_null(node) and above is not None:
            return self._replace(node, above, {key: value})
        if not isinstance(node, yaml.MappingNode):
            return self._fail()
        if node.flow_style and (node.value or above is None or _in_flow(above[0])):
            return self._splice(node.start_mark.index, node.end_mark.index, _flow({**_mapping(node), key: value}))
        if node.flow_style and above is not None:
            return self._replace(node, above, {key: value})
        column = node.value[0][0].start_mark.column
        line = " " * column + _flow(key) + ":" + self._valued(value, column)
        at = self._line_after(node)
        lines = self._text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        lines.insert(at, line + "\n")
        return "".join(lines)

    def _valued(self, value: JsonValue, column: int) -> str:
        """What stands behind the colon of a key in that column."""
        if not isinstance(value, dict | list) or not value:
            return " " + _flow(value)
        depth = column + (2 if isinstance(value, dict) or self._indented else 0)
        return "".join(f"\n{' ' * depth}{line}" for line in _block(value, indented=self._indented).splitlines())

    def _without(self, parent: yaml.Node, key: str | int) -> str:
        if not isinstance(parent, yaml.MappingNode):
            return self._fail()
        if parent.flow_style or len(parent.value) == 1:
            rest = {name: value for name, value in _mapping(parent).items() if name != key}
            return self._splice(parent.start_mark.index, _end(parent), _flow(rest))
        name, value = next((k, v) for k, v in parent.value if k.value == key)
        lines = self._text.splitlines(keepends=True)
        if lines[name.start_mark.line][: name.start_mark.column].strip():
            return self._fail()  # the first key of a list item shares its line with the dash
        del lines[name.start_mark.line : max(self._line_after(value), name.start_mark.line + 1)]
        return "".join(lines)

    # --- text ----------------------------------------------------------------------------------------------

    def _line_after(self, node: yaml.Node) -> int:
        """Number of the line behind the last one of a node."""
        end = _end(node)
        return self._text.count("\n", 0, end) + (0 if self._text[end - 1 : end] == "\n" else 1)

    def _splice(self, start: int, end: int, put: str) -> str:
        return self._text[:start] + put + self._text[end:]

    def _fail(self) -> str:
        raise DocumentError(self._name, None, "", "this cannot be changed in place")


def _child(node: yaml.Node, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and 0 <= key < len(node.value):
        item: yaml.Node = node.value[key]
        return item
    return None


def _end(node: yaml.Node) -> int:
    """Where the last sign of a node stands: the end mark of a block reaches over the comments that follow it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _in_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _indents(node: yaml.Node) -> bool:
    """True where lists stand deeper than their keys; False where none says so."""
    stack = [node]
    while stack:
        here = stack.pop()
        if isinstance(here, yaml.MappingNode):
            for name, value in here.value:
                if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
                    return bool(value.start_mark.column > name.start_mark.column)
                stack.append(value)
        elif isinstance(here, yaml.SequenceNode):
            stack += here.value
    return False


def _data(node: yaml.Node) -> JsonValue:
    """The plain value of a node, as tools.documents reads it."""
    (value,) = load_yaml_documents(yaml.serialize(node), name="") or [None]
    return value


def _mapping(node: yaml.Node) -> dict[str, JsonValue]:
    value = _data(node)
    return value if isinstance(value, dict) else {}


def _block(value: JsonValue, *, indented: bool) -> str:
    return yaml.dump(
        value,
        Dumper=_Indented if indented else yaml.SafeDumper,
        default_flow_style=False,
        sort_keys=False,
        allow_unicode=True,
        width=1 << 20,
    )


def _flow(value: JsonValue, *, style: str | None = None) -> str:
    """A value on one line, quoted as `style` says where it is text."""
    kept = style if isinstance(value, str) else None
    text = yaml.dump(
        value, Dumper=yaml.SafeDumper, default_flow_style=True, default_style=kept, sort_keys=False, allow_unicode=True,
        width=1 << 20,
    )  # fmt: skip
    return text.removesuffix("...\n").strip()
