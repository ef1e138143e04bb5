"""Makes each party's own share of scikit-learn's digits, unlike the others', and a public test set.

    python3 split.py FOLDER [PARTIES]     FOLDER/test.npz, FOLDER/party-1/digits.npz, …

Each party sees some of the ten digits often and the others hardly ever, as a clinic sees what it
specialises in, and no party has as many as another. No digit is at two places. A file holds images
uint8 (samples, 64), 0 to 16, and labels uint8 (samples,).
"""

import os
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SEED = 7
TEST_DIGITS = 400
MADE_AT_S = 1_700_000_000
# Of the digits that a party specialises in it has this part; the rest is dealt out to all.
OWN = 0.94


def split(folder: Path, parties: int) -> list[Path]:
    """Write it all. Returns each party's folder, in order; what was there is replaced."""
    digits = load_digits()
    random = np.random.default_rng(SEED)
    order = random.permutation(len(digits.target))
    _write(folder, "test.npz", order[:TEST_DIGITS])
    rest = order[TEST_DIGITS:]
    specialist = np.repeat(np.arange(parties), [len(own) for own in _specialities(parties)])
    owners = np.where(
        random.random(len(rest)) < OWN,
        specialist[digits.target[rest]],
        random.integers(parties, size=len(rest)),
    )
    folders = []
    for party in range(parties):
        folders.append(folder / f"party-{party + 1}")
        _write(folders[-1], "digits.npz", rest[owners == party])
    return folders


def _specialities(parties: int) -> list[np.ndarray]:
    return np.array_split(np.arange(10), parties)


def _write(folder: Path, name: str, which: np.ndarray) -> None:
    digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    np.savez_compressed(
        path,
        images=digits.data[which].astype(np.uint8),
        labels=digits.target[which].astype(np.uint8),
    )
    # Always of one time, so that an image that holds it is known to be the same.
    os.utime(path, (MADE_AT_S, MADE_AT_S))


if __name__ == "__main__":
    for own_folder in split(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        print(own_folder)
