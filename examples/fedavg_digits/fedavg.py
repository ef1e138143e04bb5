"""Federated averaging over handwritten digits: an aggregator and its parties, whole.

    python3 fedavg.py aggregator HOST:PORT TEST.npz
    python3 fedavg.py party HOST:PORT TEST.npz [torch|numpy]

Each round every party trains the global model on its own digits and posts the weights; when all
have, the aggregator answers each with their mean, weighted by how many digits a party has. TEST
is public, and what every model is measured on. A party also trains alone, for comparison.
"""

import io
import json
import os
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

import flow_worker

Weights = list[np.ndarray]
ROUND_WITHIN_S = 300
BATCH = 16
HIDDEN = 48


def first_weights() -> Weights:
    """Return what everybody begins with."""
    random = np.random.default_rng(0)
    return [
        random.normal(0, (2 / 64) ** 0.5, (64, HIDDEN)).astype(np.float32),
        np.zeros(HIDDEN, np.float32),
        random.normal(0, (2 / HIDDEN) ** 0.5, (HIDDEN, 10)).astype(np.float32),
        np.zeros(10, np.float32),
    ]


def forward(weights: Weights, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden layer, and how likely each of the ten digits is."""
    hidden = np.maximum(images @ weights[0] + weights[1], 0)
    scores = hidden @ weights[2] + weights[3]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, odds / odds.sum(axis=1, keepdims=True)


def measure(weights: Weights, images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return accuracy and loss."""
    odds = forward(weights, images)[1]
    loss = -np.log(odds[np.arange(len(labels)), labels] + 1e-9).mean()
    return float((odds.argmax(axis=1) == labels).mean()), float(loss)


def batches(count: int, seed: int) -> list[np.ndarray]:
    """Return the order in which one epoch sees the digits."""
    order = np.random.default_rng(seed).permutation(count)
    return np.split(order, range(BATCH, count, BATCH))


def train_numpy(
    weights: Weights, images: np.ndarray, labels: np.ndarray, lr: float, seed: int
) -> Weights:
    """Return the weights after one epoch."""
    for batch in batches(len(labels), seed):
        hidden, slope = forward(weights, images[batch])
        slope[np.arange(len(batch)), labels[batch]] -= 1
        slope /= len(batch)
        back = (slope @ weights[2].T) * (hidden > 0)
        slopes = (images[batch].T @ back, back.sum(0), hidden.T @ slope, slope.sum(0))
        weights = [part - lr * each for part, each in zip(weights, slopes, strict=True)]
    return weights


def train_torch(
    weights: Weights, images: np.ndarray, labels: np.ndarray, lr: float, seed: int
) -> Weights:
    """Return the weights after one epoch: the same in torch."""
    import torch  # noqa: PLC0415  seconds to import, and absent where numpy is asked for

    torch.set_num_threads(1)  # several parties may share this machine
    parts = [torch.tensor(part, requires_grad=True) for part in weights]
    descent = torch.optim.SGD(parts, lr=lr)
    seen, meant = torch.from_numpy(images), torch.from_numpy(labels)
    for batch in batches(len(labels), seed):
        hidden = torch.relu(seen[batch] @ parts[0] + parts[1])
        loss = torch.nn.functional.cross_entropy(hidden @ parts[2] + parts[3], meant[batch])
        descent.zero_grad()
        loss.backward()
        descent.step()
    return [part.detach().numpy() for part in parts]


TRAINERS = {"numpy": train_numpy, "torch": train_torch}


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images float32 (digits, 64) in [0, 1], and labels int64 (digits,)."""
    with np.load(path) as stored:
        return stored["images"].astype(np.float32) / 16, stored["labels"].astype(np.int64)


def packed(weights: Weights) -> bytes:
    """Return weights as they travel."""
    buffer = io.BytesIO()
    np.savez(buffer, *weights)
    return buffer.getvalue()


def unpacked(data: bytes) -> Weights:
    """Return what was `packed`."""
    with np.load(io.BytesIO(data)) as stored:
        return [stored[name] for name in stored.files]


def save(weights: Weights, result: dict[str, object]) -> None:
    """Leave the model and what is known of it where the run's outputs are taken from."""
    folder = Path(os.environ["FEDFLOW_OUTPUT_DIR"])
    (folder / "model.npz").write_bytes(packed(weights))
    (folder / "result.json").write_text(json.dumps(result))


def aggregate(address: tuple[str, int], test: tuple[np.ndarray, np.ndarray]) -> None:
    """Serve as many rounds as the run has epochs."""
    rounds, parties = flow_worker.epochs(), flow_worker.party().world_size
    weights, posted, history = first_weights(), {}, []
    is_over = threading.Event()

    def average() -> None:
        total = sum(samples for samples, _ in posted.values())
        shares = [(samples / total, update) for samples, update in posted.values()]
        weights[:] = [
            sum(share * update[place] for share, update in shares) for place in range(len(weights))
        ]
        posted.clear()
        accuracy, loss = measure(weights, *test)
        history.append({"round": len(history) + 1, "accuracy": accuracy, "loss": loss})
        print(f"round {len(history)} accuracy {accuracy:.4f} loss {loss:.4f}", flush=True)
        flow_worker.metrics({"accuracy": accuracy, "loss": loss}, step=len(history))
        flow_worker.progress(len(history), rounds)
        if len(history) == rounds:
            is_over.set()

    everybody = threading.Barrier(parties, action=average, timeout=ROUND_WITHIN_S)  # last averages

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # which keeps a party's connection

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted[self.headers["Rank"]] = int(self.headers["Samples"]), unpacked(body)
            everybody.wait()
            answer = packed(weights)
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing: the rounds are told."""

    server = ThreadingHTTPServer(address, Handler)
    server.daemon_threads = False  # the last answers are written before it ends
    threading.Thread(target=server.serve_forever).start()
    is_over.wait()
    server.shutdown()
    server.server_close()
    save(weights, {"party": "coordinator", "rounds": history})


def take_part(address: str, test: tuple[np.ndarray, np.ndarray], kind: str) -> None:
    """Train with the others, and beside it alone."""
    me, train = flow_worker.party(), TRAINERS[kind]
    lr = float(flow_worker.parameters().get("lr", 0.1))
    images, labels = read(Path(me.data_dir) / "digits.npz")
    shared, alone = first_weights(), first_weights()
    aggregator = HTTPConnection(address, timeout=ROUND_WITHIN_S)  # one connection for all rounds
    known = {"Rank": str(me.rank), "Samples": str(len(labels))}
    for number in range(1, flow_worker.epochs() + 1):
        update = train(shared, images, labels, lr, number)
        aggregator.request("POST", "/", packed(update), known)
        shared = unpacked(aggregator.getresponse().read())
        alone = train(alone, images, labels, lr, number)
        accuracy, loss = measure(alone, *test)
        print(f"round {number}: alone accuracy {accuracy:.4f} loss {loss:.4f}", flush=True)
        flow_worker.metrics({"accuracy": accuracy, "loss": loss}, step=number)
        flow_worker.progress(number, flow_worker.epochs())
    result = {"samples": len(labels), "accuracy": accuracy, "shared": measure(shared, *test)[0]}
    save(shared, {"party": me.party_id, **result})


if __name__ == "__main__":
    role, where, test_path, *more = sys.argv[1:]
    if role == "aggregator":
        host, _, port = where.rpartition(":")
        aggregate((host, int(port)), read(Path(test_path)))
    else:
        take_part(where, read(Path(test_path)), more[0] if more else "torch")
