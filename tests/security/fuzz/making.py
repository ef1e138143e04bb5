"""Messages made up from their descriptors, so that a new field or call is covered by itself."""

import math

from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message_factory import GetMessageClass

MAX_DEPTH = 5
_TIME = "google.protobuf.Timestamp"
_BITS = {
    F.TYPE_INT32: (-(2**31), 2**31 - 1),
    F.TYPE_UINT32: (0, 2**32 - 1),
    F.TYPE_INT64: (-(2**63), 2**63 - 1),
    F.TYPE_UINT64: (0, 2**64 - 1),
}
_ODD_TEXTS = (
    "", "\x00", "a\x00b", "../../etc/passwd", "a/b", "x" * 300, "\N{SNOWMAN}" * 60, "' OR 1=1 --",
    "%s%n", "\r\nSet-Cookie: a", "\u202e", "nan", "-1", "{}", "fedflow", "0" * 12, "\ufffd", " ",
)  # fmt: skip
_ODD_FLOATS = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.8e308, -1.0)
_ODD_SECONDS = (-(2**63), 2**63 - 1, 253402300800, -62135596801, 0, -1)


class Maker:
    """Makes messages with `random`; `words` are the ids and names that mean something there.

    `oddness` is the share of values that no honest sender would send.
    """

    def __init__(self, random, words, oddness):
        self._random = random
        self._words = words
        self._oddness = oddness
        # The fewer fields, the likelier that a message is accepted and its effect looked at.
        self._fullness = random.choice((0.1, 0.4, 0.9))

    def message(self, kind, depth=0):
        made = kind()
        if kind.DESCRIPTOR.full_name == _TIME:
            made.seconds = self._pick(_ODD_SECONDS, 1_700_000_000)
            made.nanos = self._pick((-1, 2**31 - 1, -(2**31), 10**9), 5)
            return made
        for field in kind.DESCRIPTOR.fields:
            is_text = field.type == F.TYPE_STRING and not field.is_repeated
            if self._random.random() < (0.95 if is_text else self._fullness) or depth == 0:
                self._fill(made, field, depth)
        return made

    def _is_odd(self):
        return self._random.random() < self._oddness

    def _pick(self, odd, usual):
        return self._random.choice(odd) if self._is_odd() else usual

    def _fill(self, made, field, depth):
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(self._random.randrange(3)):
                getattr(made, field.name)[self._text()] = self._text()
        elif field.is_repeated:
            several = self._random.choice((0, 1, 2, 40 if self._is_odd() else 3))
            for _ in range(several if depth < MAX_DEPTH else 0):
                getattr(made, field.name).append(self._value(field, depth))
        elif field.message_type is not None:
            if depth < MAX_DEPTH:
                getattr(made, field.name).CopyFrom(self._value(field, depth))
        else:
            setattr(made, field.name, self._value(field, depth))

    def _value(self, field, depth):
        if field.message_type is not None:
            return self.message(GetMessageClass(field.message_type), depth + 1)
        if field.type == F.TYPE_STRING:
            return self._text()
        if field.type == F.TYPE_BYTES:
            return self._pick((b"", b"\xff" * 50), b"-----BEGIN CERTIFICATE REQUEST-----\n")
        if field.type == F.TYPE_BOOL:
            return self._random.random() < 0.5
        if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
            return self._pick(_ODD_FLOATS, 1.5)
        if field.type == F.TYPE_ENUM:
            known = [value.number for value in field.enum_type.values]
            return self._pick((-1, 99, 2**31 - 1, 0), self._random.choice(known))
        least, most = _BITS[field.type]
        return self._pick((least, most, 0, least + 1), self._random.randrange(1, 20))

    def _text(self):
        if self._is_odd():
            return self._random.choice(_ODD_TEXTS)
        return self._random.choice(self._words)
