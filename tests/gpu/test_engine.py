"""What a real engine does with a GPU request: the facts that the Docker runtime builds on."""

import pytest
from docker.errors import APIError
from docker.types import DeviceRequest

from tests.gpu.second_engine import IMAGE, SecondEngine

pytestmark = pytest.mark.docker


def gpus(*ids: str) -> list[DeviceRequest]:
    return [DeviceRequest(device_ids=list(ids), driver="nvidia", capabilities=[["gpu"]])]


def test_a_container_gets_exactly_the_ids_that_were_asked_for(gpu_engine: SecondEngine) -> None:
    seen = gpu_engine.client.containers.run(
        IMAGE,
        ["sh", "-c", "echo $NVIDIA_VISIBLE_DEVICES; ls -d /dev/nvidia*"],
        device_requests=gpus("0", "3"),
        network_mode="none",
        remove=True,
    )
    assert seen.decode().split() == ["0,3", "/dev/nvidia0", "/dev/nvidia3"]
    assert gpu_engine.hook_calls()[-1]["visible"] == "0,3"


def test_a_container_that_asks_for_none_sees_none(gpu_engine: SecondEngine) -> None:
    calls = len(gpu_engine.hook_calls())
    seen = gpu_engine.client.containers.run(IMAGE, ["ls", "/dev"], network_mode="none", remove=True)
    assert "nvidia" not in seen.decode()
    assert len(gpu_engine.hook_calls()) == calls


def test_a_count_always_gives_the_first_ones_so_ids_have_to_be_explicit(
    gpu_engine: SecondEngine,
) -> None:
    request = DeviceRequest(count=2, driver="nvidia", capabilities=[["gpu"]])
    for _ in range(2):
        gpu_engine.client.containers.run(
            IMAGE, ["true"], device_requests=[request], network_mode="none", remove=True
        )
    assert [call["visible"] for call in gpu_engine.hook_calls()[-2:]] == ["0,1", "0,1"]


def test_an_id_beyond_the_machine_fails_the_start_and_the_container_stays_created(
    gpu_engine: SecondEngine,
) -> None:
    container = gpu_engine.client.containers.create(
        IMAGE, ["true"], device_requests=gpus("9"), network_mode="none"
    )
    try:
        with pytest.raises(APIError, match="unknown device"):
            container.start()
        container.reload()
        assert container.status == "created"
    finally:
        container.remove(force=True)
