"""Bytes of valid messages, changed: flipped, cut, spliced, repeated, their lengths made to lie."""

_LYING = (b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xff" * 11, b"\x80" * 6, b"\x00")
# Of fields that nobody knows, and of groups that never end.
_UNKNOWN = (b"\xfa\xff\x0f\x03abc", b"\xf8\xff\xff\xff\x0f\x01", b"\x0b" * 200, b"\x0c", b"\x06")


def changed(random, data, other):
    """Return `data` after 1 to 4 changes; `other` is what is spliced in."""
    for _ in range(random.randint(1, 4)):
        data = random.choice(_CHANGES)(random, data, other)
    return data


def _flip(random, data, _other):
    if not data:
        return b"\x80"
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _cut(random, data, _other):
    return data[: random.randint(0, len(data))]


def _behead(random, data, _other):
    return data[random.randint(0, len(data)) :]


def _splice(random, data, other):
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _repeat(random, data, _other):
    return (data * random.randint(2, 6))[:100_000]


def _insert(random, data, _other):
    place = random.randint(0, len(data))
    return data[:place] + random.choice(_LYING + _UNKNOWN) + data[place:]


def _overwrite(random, data, _other):
    place = random.randint(0, len(data))
    run = random.randbytes(random.randint(1, 8))
    return data[:place] + run + data[place + len(run) :]


def _nest(random, data, _other):
    # As field 1 of itself, again and again: deeper than a decoder should follow.
    for _ in range(random.choice((1, 3, 150))):
        if len(data) > 10_000:
            break
        data = b"\x0a" + _varint(len(data)) + data
    return data


def _varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


_CHANGES = (
    _flip,
    _flip,
    _flip,
    _cut,
    _behead,
    _splice,
    _splice,
    _repeat,
    _insert,
    _overwrite,
    _nest,
)
