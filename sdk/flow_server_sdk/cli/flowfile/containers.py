"""Lists, mappings and records: what holds other values, and where each of these stands."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from flow_server_sdk.cli.flowfile.parsing import line_of
from flow_server_sdk.cli.flowfile.report import Report
from flow_server_sdk.cli.flowfile.scalars import UNREADABLE, Kind, Schema, wrong


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list of one kind."""

    kind: Kind
    wanted: str = "a list"

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return the list."""
        if not isinstance(node, SequenceNode):
            return wrong(node, path, report, self.wanted)
        items = []
        for position, item in enumerate(node.value):
            place = f"{path}[{position}]"
            report.lines[place] = line_of(item)
            items.append(self.kind.read(item, place, report))
        return UNREADABLE if UNREADABLE in items else items

    def schema(self) -> Schema:
        """Return arrays."""
        return {"type": "array", "items": self.kind.schema()}


@dataclass(frozen=True, kw_only=True)
class MapOf:
    """Names of the user's own, each with a value of one kind; the order is kept."""

    kind: Kind
    wanted: str = "a mapping"

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return a dict."""
        if not isinstance(node, MappingNode):
            return wrong(node, path, report, self.wanted)
        found = {
            name: self.kind.read(value, place, report)
            for name, value, place in _pairs(node, report, lambda name: f"{path}[{name}]")
        }
        return UNREADABLE if UNREADABLE in found.values() else found

    def schema(self) -> Schema:
        """Return objects of any names."""
        return {"type": "object", "additionalProperties": self.kind.schema()}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A field of a record: its kind, and what an editor says of it."""

    kind: Kind
    about: str = ""
    is_needed: bool = False


@dataclass(frozen=True, kw_only=True)
class Record:
    """Known names, each with a kind of its own."""

    fields: Mapping[str, Field]

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return a dict of what is given and has no mistake in it."""
        if not isinstance(node, MappingNode):
            return wrong(node, path, report, f"a mapping with {', '.join(self.fields)}")
        found: dict[str, Any] = {}
        before = f"{path}." if path else ""
        for name, value, place in _pairs(node, report, lambda name: f"{before}{name}"):
            if name in self.fields:
                found[name] = self.fields[name].kind.read(value, place, report)
            else:
                report.add(place, _unknown(name, self.fields))
        for name, field in self.fields.items():
            if field.is_needed and name not in found:
                line = report.lines.get(path, line_of(node))
                report.add(f"{before}{name}", "is missing; add it", line=line)
        return {name: value for name, value in found.items() if value is not UNREADABLE}

    def schema(self) -> Schema:
        """Return objects of these names and no others."""
        properties = {
            name: {**({"description": field.about} if field.about else {}), **field.kind.schema()}
            for name, field in self.fields.items()
        }
        needed = [name for name, field in self.fields.items() if field.is_needed]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            **({"required": needed} if needed else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Either:
    """One kind for a list or a scalar, another for a mapping."""

    mapping: Kind
    other: Kind

    def read(self, node: Node, path: str, report: Report) -> Any:
        """Return what the kind that fits makes of it."""
        kind = self.mapping if isinstance(node, MappingNode) else self.other
        return kind.read(node, path, report)

    def schema(self) -> Schema:
        """Return either."""
        return {"anyOf": [self.mapping.schema(), self.other.schema()]}


def _pairs(
    node: MappingNode, report: Report, place_of: Callable[[str], str]
) -> list[tuple[str, Node, str]]:
    """Return name, value and path of each pair that can be told apart from the others."""
    pairs: list[tuple[str, Node, str]] = []
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = line_of(key)
        if not isinstance(key, ScalarNode):
            report.add("", "a list or a mapping can't be a name", line=line)
            continue
        name = str(key.value)
        place = place_of(name)
        if name in seen:
            report.add(place, f"is given twice, first on line {seen[name]}", line=line)
            continue
        seen[name] = report.lines[place] = line
        pairs.append((name, value, place))
    return pairs


def _unknown(name: str, fields: Mapping[str, Field]) -> str:
    if name == "<<":
        return "merge keys are not read; write the fields out"
    close = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(fields)}"
    return f"is not known; {hint}"
