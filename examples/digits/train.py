"""Trains a small classifier of handwritten digits on one party's own share.

    python3 train.py torch|numpy

Runs as a container or a process of Fedflow and reads what every workload is given:
FEDFLOW_DATA_DIR (holds digits.npz), FEDFLOW_OUTPUT_DIR, FEDFLOW_EPOCHS, FEDFLOW_RANK,
FEDFLOW_WORLD_SIZE, FEDFLOW_PARTY_ID and FEDFLOW_HYPER_PARAMETERS, a JSON list such as
["lr=0.2", "hidden=32"]. Reports each epoch, its loss and its accuracy where flow_worker is there,
and does without it elsewhere.

Writes result.json {"accuracy", "epochs", "samples", …} and the model, and prints one line per
epoch. The accuracy is that on a fifth of the share which the training never sees.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

try:
    import flow_worker
except ImportError:
    flow_worker = None

HELD_OUT = 0.2
BATCH = 32
MOMENTUM = 0.9
CLASSES = 10


@dataclass(frozen=True, kw_only=True)
class Share:
    """One party's digits: images float32 (samples, 64) in [0, 1], labels int64 (samples,)."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train: `lr` is the learning rate, `hidden` the width of the one hidden layer.

    After each epoch it rests for `pause_s`, so that people can watch.
    """

    epochs: int
    lr: float = 0.05
    hidden: int = 64
    seed: int = 0
    pause_s: float = 0.0


Report = Callable[[int, float, float], None]
"""Told after each epoch: its number from 1, the mean loss, the accuracy on held-out digits."""


def load(folder: Path, seed: int) -> Share:
    """Read digits.npz and hold a fifth of it out."""
    with np.load(folder / "digits.npz") as stored:
        images = stored["images"].astype(np.float32) / 16
        labels = stored["labels"].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    cut = int(len(labels) * HELD_OUT)
    test, train = order[:cut], order[cut:]
    return Share(
        images=images[train],
        labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


def train_numpy(share: Share, settings: Settings, report: Report, output: Path) -> float:
    """Train with numpy alone. Returns the accuracy on held-out digits; saves model.npz."""
    random = np.random.default_rng(settings.seed)
    sizes = (share.images.shape[1], settings.hidden, CLASSES)
    weights = [
        part
        for fan_in, fan_out in pairwise(sizes)
        for part in (
            random.normal(0, (2 / fan_in) ** 0.5, (fan_in, fan_out)).astype(np.float32),
            np.zeros(fan_out, np.float32),
        )
    ]
    speeds = [np.zeros_like(part) for part in weights]

    def forward(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        hidden = np.maximum(images @ weights[0] + weights[1], 0)
        scores = hidden @ weights[2] + weights[3]
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    accuracy = 0.0
    for epoch in range(1, settings.epochs + 1):
        losses = []
        order = random.permutation(len(share.labels))
        for batch in np.split(order, range(BATCH, len(order), BATCH)):
            images, labels = share.images[batch], share.labels[batch]
            hidden, odds = forward(images)
            rows = np.arange(len(batch))
            losses.append(-np.log(odds[rows, labels] + 1e-9).mean())
            odds[rows, labels] -= 1
            odds /= len(batch)
            back = (odds @ weights[2].T) * (hidden > 0)
            slopes = (images.T @ back, back.sum(axis=0), hidden.T @ odds, odds.sum(axis=0))
            for part, speed, slope in zip(weights, speeds, slopes, strict=True):
                speed[:] = MOMENTUM * speed - settings.lr * slope
                part[:] += speed
        guesses = forward(share.test_images)[1].argmax(axis=1)
        accuracy = float((guesses == share.test_labels).mean())
        report(epoch, float(np.mean(losses)), accuracy)
    names = ("weight_1", "bias_1", "weight_2", "bias_2")
    np.savez(output / "model.npz", **dict(zip(names, weights, strict=True)))
    return accuracy


def train_torch(share: Share, settings: Settings, report: Report, output: Path) -> float:
    """Train with torch. Returns the accuracy on held-out digits; saves model.pt."""
    import torch  # noqa: PLC0415 - seconds to import, and absent where numpy is asked for

    torch.set_num_threads(1)  # several parties may share this machine
    torch.manual_seed(settings.seed)
    images, labels = torch.from_numpy(share.images), torch.from_numpy(share.labels)
    test_images, test_labels = map(torch.from_numpy, (share.test_images, share.test_labels))
    model = torch.nn.Sequential(
        torch.nn.Linear(images.shape[1], settings.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(settings.hidden, CLASSES),
    )
    descent = torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=MOMENTUM)
    measure = torch.nn.CrossEntropyLoss()
    accuracy = 0.0
    for epoch in range(1, settings.epochs + 1):
        losses = []
        for batch in torch.randperm(len(labels)).split(BATCH):
            descent.zero_grad()
            loss = measure(model(images[batch]), labels[batch])
            loss.backward()
            descent.step()
            losses.append(loss.item())
        with torch.no_grad():
            guesses = model(test_images).argmax(dim=1)
        accuracy = float((guesses == test_labels).float().mean())
        report(epoch, float(np.mean(losses)), accuracy)
    torch.save(model.state_dict(), output / "model.pt")
    return accuracy


WORKLOADS = {"numpy": train_numpy, "torch": train_torch}


def settings_from(environment: dict[str, str]) -> Settings:
    """Read epochs and hyper-parameters; those of other names belong to somebody else."""
    pairs = [
        entry.split("=", 1)
        for entry in json.loads(environment.get("FEDFLOW_HYPER_PARAMETERS", "[]"))
        if "=" in entry
    ]
    kinds = {"lr": float, "hidden": int, "seed": int, "pause_s": float}
    chosen = {name: kinds[name](value) for name, value in pairs if name in kinds}
    return Settings(epochs=int(environment.get("FEDFLOW_EPOCHS", "10")), **chosen)


def main() -> int:
    """Train on this party's share. Returns the exit status."""
    kind = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WORKLOAD", "numpy")
    if kind not in WORKLOADS:
        print(f"{kind!r} is no workload; choose one of: {', '.join(WORKLOADS)}", file=sys.stderr)
        return 2
    party = os.environ.get("FEDFLOW_PARTY_ID", "here")
    rank, parties = (os.environ.get(f"FEDFLOW_{n}", d) for n, d in
                     (("RANK", "0"), ("WORLD_SIZE", "1")))  # fmt: skip
    settings = settings_from(dict(os.environ))
    output = Path(os.environ.get("FEDFLOW_OUTPUT_DIR", "."))
    share = load(Path(os.environ.get("FEDFLOW_DATA_DIR", ".")), settings.seed)
    samples = len(share.labels) + len(share.test_labels)
    print(
        f"{party} ({int(rank) + 1} of {parties}): {samples} digits of its own, {kind}", flush=True
    )

    def report(epoch: int, loss: float, accuracy: float) -> None:
        print(f"epoch {epoch}/{settings.epochs} loss {loss:.4f} accuracy {accuracy:.4f}",
              flush=True)  # fmt: skip
        if flow_worker is not None:
            flow_worker.metrics({"loss": loss, "accuracy": accuracy}, step=epoch)
            flow_worker.progress(epoch, settings.epochs)
        time.sleep(settings.pause_s)

    accuracy = WORKLOADS[kind](share, settings, report, output)
    result = {
        "party": party,
        "run_id": os.environ.get("FEDFLOW_RUN_ID", ""),
        "accuracy": accuracy,
        "epochs": settings.epochs,
        "samples": samples,
    }
    (output / "result.json").write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
