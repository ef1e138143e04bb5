"""A party of iflearner 0.1.0: a small torch model of handwritten digits, trained with the others.

    python3 train.py --name=… --epochs=… --server=… [--peers=…]

The arguments are iflearner's own. Of scikit-learn's digits a part is the test set of all, and each
of three parties has a third of the rest as its share: which, its name decides.
"""

import datetime as dt
import os
import random
import tempfile
from typing import Any

# From Python 3.11 on `random.seed` refuses the datetime that iflearner seeds it with on import.
_seed = random.seed
random.seed = lambda value=None, version=2: _seed(
    str(value) if isinstance(value, dt.datetime) else value, version
)

import torch  # noqa: E402
from iflearner.business.homo.argument import parser  # noqa: E402
from iflearner.business.homo.pytorch_trainer import PyTorchTrainer  # noqa: E402
from iflearner.business.homo.train_client import Controller  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

TEST_DIGITS = 397
BATCH = 32
LEARNING_RATE = 0.05
PARTIES = 3


class DigitsTrainer(PyTorchTrainer):
    """Trains on this party's share, and measures on digits that no party trains on."""

    def __init__(self, name: str) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        super().__init__(
            torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
        )
        digits = load_digits()
        order = torch.randperm(len(digits.target))
        images = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
        labels = torch.tensor(digits.target)[order]
        self._test = images[:TEST_DIGITS], labels[:TEST_DIGITS]
        share = sum(name.encode()) % PARTIES
        self._images = images[TEST_DIGITS + share :: PARTIES]
        self._labels = labels[TEST_DIGITS + share :: PARTIES]
        self._measure = torch.nn.CrossEntropyLoss()
        self._descent = torch.optim.SGD(self._model.parameters(), lr=LEARNING_RATE, momentum=0.9)

    def config(self) -> dict[str, Any]:
        """Return what the aggregation server weighs this party by."""
        samples = len(self._labels)
        return {
            "sample_num": samples,
            "batch_num": -(-samples // BATCH),
            "learning_rate": LEARNING_RATE,
        }

    def fit(self, epoch: int) -> None:  # noqa: ARG002  iflearner's own signature
        """Go through the share once."""
        self._model.train()
        for batch in torch.arange(len(self._labels)).split(BATCH):
            self._descent.zero_grad()
            self._measure(self._model(self._images[batch]), self._labels[batch]).backward()
            self._descent.step()

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Measure the model as it stands."""
        images, labels = self._test
        self._model.eval()
        with torch.no_grad():
            scores = self._model(images)
        loss = self._measure(scores, labels).item()
        accuracy = (scores.argmax(dim=1) == labels).float().mean().item()
        print(f"epoch {epoch} loss {loss:.4f} accuracy {accuracy:.4f}", flush=True)
        return {"loss": loss, "accuracy": accuracy}


if __name__ == "__main__":
    arguments = parser.parse_args()
    # iflearner writes its logs and metrics into the working directory.
    os.chdir(tempfile.mkdtemp())
    Controller(arguments, DigitsTrainer(arguments.name)).run()
