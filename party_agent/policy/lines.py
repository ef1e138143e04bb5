"""On which line each key of a TOML document stands; the document must be known to be valid.

The standard library's reader keeps no positions. It has said already that the text is TOML, so
this pass only has to find its way: it never judges, and it reads no values.
"""

import re
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[^,\]\}\n#]*")
_BASIC = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LITERAL = re.compile(r"'[^']*'")
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b"}


def lines_of(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of every table, key and array item by its path.

    A table that several headers make has the line of the first that names it.
    """
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return scan.lines


@dataclass
class _Scan:
    """A position in the text, and what was found before it."""

    text: str
    at: int = 0
    lines: dict[KeyPath, int] = field(default_factory=dict)
    counts: dict[KeyPath, int] = field(default_factory=dict)

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        *above, last = self._key()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for part in above:
            path = self._newest((*path, part), line)
        path = (*path, last)
        if not is_array:
            return self._newest(path, line)
        number = self.counts.get(path, 0)
        self.counts[path] = number + 1
        self._note(path, line)
        self._note((*path, number), line)
        return (*path, number)

    def _newest(self, path: KeyPath, line: int) -> KeyPath:
        self._note(path, line)
        number = self.counts.get(path)
        return path if number is None else (*path, number - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, line)
        self.at += 1  # the sign between key and value
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_SPACE)
            quote = self._peek()
            if quote == '"':
                parts.append(_ESCAPE.sub(_unescaped, self._take(_BASIC)[1:-1]))
            elif quote == "'":
                parts.append(self._take(_LITERAL)[1:-1])
            else:
                parts.append(self._take(_BARE))
            self._skip(_SPACE)
            if self._peek() != ".":
                return parts
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        first = self._peek()
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif self.text.startswith('"""', self.at):
            self._take(_LONG_BASIC)
        elif self.text.startswith("'''", self.at):
            self._take(_LONG_LITERAL)
        elif first == '"':
            self._take(_BASIC)
        elif first == "'":
            self._take(_LITERAL)
        else:
            self._take(_PLAIN)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        number = 0
        self._skip(_BLANK)
        while self._peek() != "]":
            self._note((*path, number), self._line())
            self._value((*path, number))
            number += 1
            self._skip(_BLANK)
            if self._peek() == ",":
                self.at += 1
                self._skip(_BLANK)
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANK)
        while self._peek() != "}":
            self._pair(path)
            self._skip(_BLANK)
            if self._peek() == ",":
                self.at += 1
                self._skip(_BLANK)
        self.at += 1

    def _note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        self._take(pattern)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            raise ValueError(f"not the TOML it was said to be, at character {self.at}")
        self.at = found.end()
        return found[0]


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "uU":
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
