"""Makes every party's own share of scikit-learn's handwritten digits.

    python3 split.py FOLDER [PARTIES]     FOLDER/party-1/digits.npz, …

The 1,797 digits are real and part of the package: nothing is downloaded. No digit is at two
parties. A digits.npz holds images uint8 (samples, 64), 0 to 16, and labels uint8 (samples,).
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SEED = 7


def split(folder: Path, parties: int) -> list[Path]:
    """Write the shares. Returns each party's folder, in order; what was there is replaced."""
    digits = load_digits()
    order = np.random.default_rng(SEED).permutation(len(digits.target))
    folders = []
    for number, mine in enumerate(np.array_split(order, parties), start=1):
        own = folder / f"party-{number}"
        own.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            own / "digits.npz",
            images=digits.data[mine].astype(np.uint8),
            labels=digits.target[mine].astype(np.uint8),
        )
        folders.append(own)
    return folders


if __name__ == "__main__":
    for own_folder in split(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        print(own_folder)
