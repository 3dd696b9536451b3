"""YAML 1.2 as contracts are written in it: what is text stays text, and no document can make the reader work hard.

PyYAML speaks YAML 1.1, where `no` is false and `2024-01-01` a date. Here only JSON's kinds of value are told from text
(the core schema of YAML 1.2), and what is written is quoted wherever a reader of either version would see more than
text. Aliases are refused: a small document could otherwise stand for a huge one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from services.core.words import Words

MAX_BYTES = 1024**2
MAX_DEPTH = 40

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_NUMBER_SOMEWHERE = re.compile(r"[-+]?(?:[0-9.][0-9_.]*(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)$")
_DIGITS = list("-+0123456789.")


_TAG = "tag:yaml.org,2002:"
_TAGS = frozenset(_TAG + kind for kind in ("str", "null", "bool", "int", "float", "seq", "map"))


class Unreadable(Exception):
    """Bytes that are no such document; `words` say why and where."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


def _refused(what: str, where: yaml.Mark | None) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, what, where)


def _whole(text: str, where: yaml.Mark | None) -> str:
    """`text` with the halves of a character put together, as JSON escapes one beyond U+FFFF."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _refused("half a character", where) from error


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        begin = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.events.AliasEvent):
            raise _refused("an alias", begin)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused("nested too deeply", begin)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag not in _TAGS:
            raise _refused(f"a value of type {node.tag}", begin)
        if isinstance(node, yaml.ScalarNode):
            node.value = _whole(node.value, begin)
        if node is not None and node.tag == f"{_TAG}float" and not math.isfinite(float(node.value)):
            raise _refused(f"{node.value} is no number", begin)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != f"{_TAG}str":
                raise _refused("a name that is not text", key.start_mark)
            if key.value in names:
                raise _refused(f"{key.value!r} twice", key.start_mark)
            names.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, _DIGITS)
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, _DIGITS)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # only between double quotes does PyYAML escape line ends that are none in YAML 1.2
        style = '"' if any(end in text for end in "\r\x85\u2028\u2029") else None
        return self.represent_scalar(f"{_TAG}str", text, style=style)


_Dumper.add_implicit_resolver(f"{_TAG}float", _NUMBER_SOMEWHERE, _DIGITS)
_Dumper.add_representer(str, _Dumper.represent_text)


def load(data: bytes) -> Any:
    """The document in `data`; raises Unreadable."""
    if len(data) > MAX_BYTES:
        raise Unreadable(Words(f"is larger than {MAX_BYTES} bytes", f"超过 {MAX_BYTES} 字节"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(Words(f"line {line} is not UTF-8", f"第 {line} 行不是 UTF-8 编码")) from error
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise Unreadable(
            Words(f"line {line}: {error.problem or error.context}", f"第 {line} 行不是有效的 YAML：{error.problem}")
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise Unreadable(Words(f"is not YAML: {error}", f"不是有效的 YAML：{error}")) from error


def dump(document: Mapping[str, Any]) -> bytes:
    """`document` in the order of its names, Chinese as it is."""
    text: str = yaml.dump(document, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)
    return text.encode()
