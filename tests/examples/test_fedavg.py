"""The demo's workload: shares unlike each other, and a model that is better than any alone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from examples.demo_parts.table import rounds_table

ROOT = Path(__file__).parents[2]
FEDAVG = ROOT / "examples" / "fedavg_digits"
DEADLINE_S = 120


def split(folder, parties):
    command = [sys.executable, FEDAVG / "split.py", folder, str(parties)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Path(line) for line in done.stdout.split()]


def digits(path):
    with np.load(path) as stored:
        return list(zip(stored["images"].tolist(), stored["labels"].tolist(), strict=True))


@pytest.mark.parametrize("parties", [1, 3, 10])
def test_every_digit_is_at_one_place_only(tmp_path, parties):
    shares = split(tmp_path, parties)
    found = digits(tmp_path / "test.npz")
    for share in shares:
        found += digits(share / "digits.npz")
    whole = load_digits()
    everything = zip(whole.data.astype(int).tolist(), whole.target.tolist(), strict=True)
    assert sorted(found) == sorted(everything)


def test_parties_specialise_in_different_digits_and_differ_in_size(tmp_path):
    sizes, often = [], []
    for share in split(tmp_path, 3):
        labels = [label for _, label in digits(share / "digits.npz")]
        counts = np.bincount(labels, minlength=10)
        sizes.append(len(labels))
        often.append(set(np.flatnonzero(counts > 0.15 * len(labels))))
    assert len(set(sizes)) == 3
    assert often == [{0, 1, 2, 3}, {4, 5, 6}, {7, 8, 9}]


def test_the_same_split_is_made_again(tmp_path):
    for name in ("one", "two"):
        split(tmp_path / name, 3)
    one, two = (tmp_path / name / "test.npz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_mtime_ns == two.stat().st_mtime_ns


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def began(tmp_path, *arguments, rank, **settings):
    output = tmp_path / f"output-{rank}"
    output.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "sdk"),
        "FEDFLOW_WORLD_SIZE": "3",
        "FEDFLOW_EPOCHS": "6",
        "FEDFLOW_RANK": str(rank),
        "FEDFLOW_OUTPUT_DIR": str(output),
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, FEDAVG / "fedavg.py", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(tmp_path, rank):
    return json.loads((tmp_path / f"output-{rank}" / "result.json").read_text())


def reached(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def test_together_the_parties_learn_what_none_of_them_can_alone(tmp_path):
    shares = split(tmp_path / "data", 3)
    test = tmp_path / "data" / "test.npz"
    address = f"127.0.0.1:{free_port()}"
    processes = [began(tmp_path, "aggregator", address, test, rank=3)]
    try:
        # As its agent would: parties begin once their coordinator listens.
        while not reached(address):
            assert processes[0].poll() is None
        for rank, share in enumerate(shares):
            processes.append(
                began(tmp_path, "party", address, test, "numpy", rank=rank,
                      FEDFLOW_DATA_DIR=str(share), FEDFLOW_PARTY_ID=share.name)
            )  # fmt: skip
        for process in processes:
            _, errors = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    rounds = result(tmp_path, 3)["rounds"]
    assert [each["round"] for each in rounds] == [1, 2, 3, 4, 5, 6]
    alone = [result(tmp_path, rank)["accuracy"] for rank in range(3)]
    assert rounds[-1]["accuracy"] > max(alone) + 0.1
    assert {result(tmp_path, rank)["shared"] for rank in range(3)} == {rounds[-1]["accuracy"]}
    models = [(tmp_path / f"output-{rank}" / "model.npz").read_bytes() for rank in range(4)]
    assert len(set(models)) == 1


def test_the_table_shows_each_round_beside_what_parties_had_alone():
    table = rounds_table(
        [{"round": 1, "accuracy": 0.5}, {"round": 2, "accuracy": 0.75}],
        {"b": {1: 0.25}, "a": {1: 0.5, 2: 0.5}, "coordinator": {1: 0.5}},
    )
    assert [column.header for column in table.columns] == [
        "round",
        "a alone",
        "b alone",
        "together",
    ]
    assert [list(column.cells) for column in table.columns][:3] == [
        ["1", "2"],
        ["0.500", "0.500"],
        ["0.250", "-"],
    ]
