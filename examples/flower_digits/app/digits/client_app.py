"""One party's side: softmax regression on its own digits, in plain NumPy and Flower's own API."""

from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

EPOCHS_A_ROUND = 5
BATCH = 32
HELD_OUT = 0.2

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Improve the global weights on this party's digits."""
    weights, bias = (part.copy() for part in message.content["arrays"].to_numpy_ndarrays())
    images, labels, _, _ = _share(context)
    lr = context.run_config["lr"]
    random = np.random.default_rng(0)
    for _ in range(EPOCHS_A_ROUND):
        order = random.permutation(len(labels))
        for batch in np.split(order, range(BATCH, len(order), BATCH)):
            slope = _odds(images[batch], weights, bias)
            slope[np.arange(len(batch)), labels[batch]] -= 1
            weights -= lr * images[batch].T @ slope / len(batch)
            bias -= lr * slope.mean(axis=0)
    return _answer(message, {"num-examples": len(labels)}, [weights, bias])


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Say how good the global weights are on digits that this party held out."""
    weights, bias = message.content["arrays"].to_numpy_ndarrays()
    _, _, images, labels = _share(context)
    odds = _odds(images, weights, bias)
    loss = float(-np.log(odds[np.arange(len(labels)), labels] + 1e-9).mean())
    accuracy = float((odds.argmax(axis=1) == labels).mean())
    return _answer(message, {"num-examples": len(labels), "loss": loss, "accuracy": accuracy})


def _share(context: Context) -> tuple[np.ndarray, ...]:
    with np.load(Path(str(context.node_config["data"])) / "digits.npz") as stored:
        images, labels = stored["images"].astype(np.float32) / 16, stored["labels"].astype(int)
    cut = int(len(labels) * HELD_OUT)
    return images[cut:], labels[cut:], images[:cut], labels[:cut]


def _odds(images: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    scores = images @ weights + bias
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _answer(
    message: Message, metrics: dict[str, float], arrays: list[np.ndarray] | None = None
) -> Message:
    content = RecordDict({"metrics": MetricRecord(metrics)})
    if arrays is not None:
        content["arrays"] = ArrayRecord(arrays)
    return Message(content=content, reply_to=message)
