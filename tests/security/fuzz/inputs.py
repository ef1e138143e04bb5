"""One numbered input after the other, each from its own seed: any can be made again alone."""

from random import Random

from tests.security.fuzz.changing import changed
from tests.security.fuzz.making import Maker

NAMES = tuple(f"model {number}" for number in range(40))
PLAIN = ("hospital-a", "scans", "image:1", "run", "/data", "1", "none", "exit_nonzero", *NAMES)


class Inputs:
    """Bytes for messages of a kind. `words` are added to what strings are made of."""

    def __init__(self, seed, target, words=()):
        self._name = f"{seed}:{target}"
        self._words = (*PLAIN, *words)

    def random(self, number):
        return Random(f"{self._name}:{number}")

    def message(self, random, kind):
        """Return a message as an honest or an odd sender would make it."""
        return Maker(random, self._words, random.choice((0, 0.02, 0.3))).message(kind)

    def data(self, random, kind):
        """Return bytes: one in four as made, the others changed."""
        data = self.message(random, kind).SerializeToString()
        if random.random() < 0.25:
            return data
        return changed(random, data, self.message(random, kind).SerializeToString())
