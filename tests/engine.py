"""The container engine that tests run on, asked without the code under test."""

import gc
import os
import warnings

import docker
import pytest
from docker.errors import DockerException


def connect_or_skip() -> docker.APIClient:
    """Return a client of the environment's engine; without one skip, or fail if CI is set."""
    # docker-py leaves a socket open that it could not connect: let go of it here and now.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return docker.APIClient(version="auto", timeout=120, **docker.utils.kwargs_from_env())
        except DockerException as error:
            reason = f"no Docker Engine answers: {error}"
        gc.collect()
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def containers_labelled(client: docker.APIClient, key: str, value: str) -> list[dict]:
    """Return all containers with this label, ended ones too."""
    return client.containers(all=True, filters={"label": f"{key}={value}"})
