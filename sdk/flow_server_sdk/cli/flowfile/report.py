"""What is wrong with a file: one line per mistake, and on which line each field stands."""

import re
from dataclasses import dataclass, field

from flow_contract.foreign_text import printable

_LAST_PART = re.compile(r"(\.[^.\[\]]*|\[[^\]]*\])$")


@dataclass(frozen=True, kw_only=True, order=True)
class Problem:
    """One mistake. `path` is the field's, such as template.command[0], "" for the whole file."""

    line: int
    path: str
    message: str


@dataclass
class Report:
    """The mistakes of one file, and where its fields stand. Lines count from 1."""

    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, path: str, message: str, *, line: int | None = None) -> None:
        """Note a mistake; without a line it is the field's, or that of what the field is in."""
        found = self._line(path) if line is None else line
        self.problems.append(Problem(line=found, path=path, message=message))

    def is_spoilt(self, path: str) -> bool:
        """Say whether a mistake is in this field already, or in what it holds."""
        inside = (f"{path}.", f"{path}[")
        return any(each.path == path or each.path.startswith(inside) for each in self.problems)

    def texts(self, file: str) -> list[str]:
        """Return the mistakes as `file:line: field: message`, in the order of lines."""
        return [
            printable(f"{file}:{each.line}: {each.path + ': ' if each.path else ''}{each.message}")
            for each in sorted(set(self.problems))
        ]

    def _line(self, path: str) -> int:
        while path not in self.lines:
            shorter = _LAST_PART.sub("", path)
            if shorter in {path, ""}:
                return self.lines.get(path.partition(".")[0], 1)
            path = shorter
        return self.lines[path]
