"""One second engine with four pretended GPUs for all tests here."""

import os
from collections.abc import Iterator

import pytest

from tests.gpu.second_engine import SecondEngine, missing_here

GPU_COUNT = 4


@pytest.fixture(scope="session")
def gpu_engine() -> Iterator[SecondEngine]:
    missing = missing_here()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"the GPU tests must run here, but {missing}")
    if missing:
        pytest.skip(missing)
    engine = SecondEngine(GPU_COUNT)
    yield engine
    engine.close()
    assert not engine.folder.exists()
