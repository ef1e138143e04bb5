"""The digits workload: shares that nobody else has, and a model that learns from one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from examples.demo_parts.table import final_table

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def split(folder: Path, parties: int) -> list[Path]:
    command = [sys.executable, DIGITS / "split.py", folder, str(parties)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [Path(line) for line in done.stdout.split()]


def train(*arguments: str, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DIGITS / "train.py", *arguments],
        env={"PATH": os.environ["PATH"], "FEDFLOW_OUTPUT_DIR": str(output), **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def result(output: Path) -> dict[str, Any]:
    return json.loads((output / "result.json").read_text())


def digits(images: np.ndarray, labels: np.ndarray) -> list[tuple[list[int], int]]:
    """Return comparable pairs of image and label."""
    return list(zip(images.astype(int).tolist(), labels.tolist(), strict=True))


@pytest.mark.parametrize("parties", [1, 3, 10])
def test_every_digit_is_at_exactly_one_party(tmp_path: Path, parties: int) -> None:
    found = []
    for share in split(tmp_path, parties):
        with np.load(share / "digits.npz") as stored:
            found += digits(stored["images"], stored["labels"])
    whole = load_digits()

    assert sorted(found) == sorted(digits(whole.data, whole.target))
    assert {share.name for share in tmp_path.iterdir()} == {
        f"party-{number}" for number in range(1, parties + 1)
    }


def test_one_share_is_enough_to_learn_digits_and_the_result_says_how_well(tmp_path: Path) -> None:
    [_, share, _] = split(tmp_path / "data", 3)

    done = train(
        "numpy",
        output=tmp_path,
        FEDFLOW_DATA_DIR=str(share),
        FEDFLOW_EPOCHS="12",
        FEDFLOW_PARTY_ID="clinic",
        FEDFLOW_RUN_ID="run-7",
        FEDFLOW_HYPER_PARAMETERS='["lr=0.05", "hidden=32", "somebody=else"]',
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch ") == 12
    seen = result(tmp_path)
    assert (seen["party"], seen["run_id"], seen["epochs"]) == ("clinic", "run-7", 12)
    assert seen["samples"] == 599
    assert seen["accuracy"] > 0.85
    with np.load(tmp_path / "model.npz") as model:
        assert model["weight_1"].shape == (64, 32)


def test_the_demo_s_table_shows_how_far_each_party_is() -> None:
    party = {
        "federated_id": "clinic",
        "state": "running",
        "reason": "none",
        "message": "",
        "exit_code": None,
        "started_at": None,
        "finished_at": None,
        "current_epoch": 3,
        "total_epoch": 10,
    }
    silent = {**party, "federated_id": "silent", "current_epoch": None, "total_epoch": None}
    table = final_table([party, silent], {}, {})
    [epochs] = [column for column in table.columns if column.header == "epoch"]
    assert list(epochs.cells) == ["3/10", "-"]


def test_the_same_share_gives_the_same_model(tmp_path: Path) -> None:
    [share] = split(tmp_path / "data", 1)
    accuracies = []
    for name in ("first", "second"):
        output = tmp_path / name
        output.mkdir()
        train("numpy", output=output, FEDFLOW_DATA_DIR=str(share), FEDFLOW_EPOCHS="1")
        accuracies.append(result(output)["accuracy"])
    assert accuracies[0] == accuracies[1]


def test_an_unknown_workload_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    done = train("keras", output=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "'keras' is no workload; choose one of: numpy, torch\n"
