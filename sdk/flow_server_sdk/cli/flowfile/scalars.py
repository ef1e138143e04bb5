"""What a single value may be: each kind reads a node, says what is wrong, and has a schema.

A text is taken as it is written, whatever YAML would make of it: `no`, 1.10 and 08:30 stay what
they are, in quotes or not.
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol

from yaml.nodes import Node, ScalarNode, SequenceNode

from flow_server_sdk.cli.flowfile.parsing import line_of
from flow_server_sdk.cli.flowfile.report import Report

Schema = dict[str, Any]

_NULL = "tag:yaml.org,2002:null"
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_SIZE = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?) ?(?P<unit>[KMGT]iB|)")
_WITH_UNIT = r"[0-9]+(\.[0-9]+)? ?[KMGT]iB"
_WHOLE = re.compile(r"[+-]?[0-9][0-9_]*")
_PORTS = r"[0-9]{1,5}-[0-9]{1,5}"


class _Unreadable:
    """Stands for a value with a mistake, which the report says."""

    def __repr__(self) -> str:
        return "UNREADABLE"


UNREADABLE: Any = _Unreadable()


class Kind(Protocol):
    """One kind of value."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return the value, UNREADABLE if there is a mistake in it."""
        ...

    def schema(self) -> Schema:
        """Return the kind as JSON Schema."""
        ...


def wrong(node: Node, path: str, report: Report, wanted: str) -> Any:
    """Note that a node is of another kind; return UNREADABLE."""
    if isinstance(node, ScalarNode):
        given = "nothing" if _is_null(node) else repr(node.value)[:60]
    else:
        given = "a list" if isinstance(node, SequenceNode) else "a mapping"
    report.add(path, f"give {wanted}, not {given}", line=line_of(node))
    return UNREADABLE


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == _NULL and node.style is None


def _plain(node: Node) -> str | None:
    """Return the text of a scalar without quotes, None for anything else."""
    if isinstance(node, ScalarNode) and node.style is None and not _is_null(node):
        return str(node.value)
    return None


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text as it is written."""

    choices: tuple[str, ...] = ()
    may_be_empty: bool = False

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return the text."""
        wanted = "one of " + ", ".join(self.choices) if self.choices else "a text"
        if _is_null(node) and self.may_be_empty:
            return ""
        if not isinstance(node, ScalarNode) or _is_null(node):
            return wrong(node, path, report, wanted)
        if self.choices and node.value not in self.choices:
            return wrong(node, path, report, wanted)
        return str(node.value)

    def schema(self) -> Schema:
        """Return texts, and what YAML takes for something else."""
        if self.choices:
            return {"enum": [*self.choices]}
        types = ["string", "number", "boolean"]
        return {"type": [*types, "null"] if self.may_be_empty else types}


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole number."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return the number."""
        text = _plain(node)
        if text is None or _WHOLE.fullmatch(text) is None:
            return wrong(node, path, report, "a whole number")
        return int(text)

    def schema(self) -> Schema:
        """Return integers."""
        return {"type": "integer"}


@dataclass(frozen=True, kw_only=True)
class Real:
    """A number."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return the number."""
        text = _plain(node)
        try:
            return float("" if text is None else text)
        except ValueError:
            return wrong(node, path, report, "a number")

    def schema(self) -> Schema:
        """Return numbers."""
        return {"type": "number"}


@dataclass(frozen=True, kw_only=True)
class Size:
    """Bytes, plain or with a unit: 2147483648, 2 GiB, 1.5GiB."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return bytes."""
        text = _plain(node)
        found = None if text is None else _SIZE.fullmatch(text)
        if found is None or ("." in found["number"] and not found["unit"]):
            return wrong(node, path, report, "bytes, such as 2147483648 or 2 GiB")
        number = float(found["number"]) if "." in found["number"] else int(found["number"])
        return int(number * _UNITS[found["unit"]])

    def schema(self) -> Schema:
        """Return integers, or texts with a unit."""
        return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_WITH_UNIT}$"}]}


@dataclass(frozen=True, kw_only=True)
class Flag:
    """True or false, and no other word for it."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return a bool."""
        text = (_plain(node) or "").lower()
        if text not in {"true", "false"}:
            return wrong(node, path, report, "true or false")
        return text == "true"

    def schema(self) -> Schema:
        """Return booleans."""
        return {"type": "boolean"}


@dataclass(frozen=True, kw_only=True)
class Ports:
    """A port, or a range of ports: 29500, 32768-60999."""

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return a number, or a range as a text."""
        text = node.value.strip() if isinstance(node, ScalarNode) else ""
        if re.fullmatch(_PORTS, text, re.ASCII):
            return text
        if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
            return int(text)
        return wrong(node, path, report, "a port such as 29500, or a range such as 32768-60999")

    def schema(self) -> Schema:
        """Return integers, or texts of two."""
        return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{_PORTS}$"}]}
