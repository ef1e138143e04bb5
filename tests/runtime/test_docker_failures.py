"""Every way in which a workload can't run or ends badly, on a real engine.

These tests also pin the engine's texts wherever the runtime has nothing else to go by.
"""

from pathlib import Path

import pytest

from flow_contract.ids import new_id
from flow_contract.reasons import Reason
from flow_contract.templates import Resources
from party_agent.runtime.docker_engine import refusals, translate
from party_agent.runtime.docker_engine.client import Engine
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.docker_engine.runtime import DockerRuntime
from party_agent.runtime.port import Bind, Phase, RuntimeRefused, RuntimeUnavailable, Workload
from tests.runtime.docker_support import CAGE, Site, ignore, ran, started

pytestmark = pytest.mark.docker

MIB = 1024 * 1024


async def refused(site: Site, runtime: DockerRuntime, workload: Workload) -> RuntimeRefused:
    """Return the refusal, once it is sure that it is told again and nothing outlives `remove`."""
    with pytest.raises(RuntimeRefused) as caught:
        await started(runtime, workload)
    if site.exists(workload):
        with pytest.raises(RuntimeRefused) as again:
            await runtime.launch(workload)
        assert again.value.reason is caught.value.reason
        assert again.value.exit_code == caught.value.exit_code
        await runtime.remove(workload.party_run_id)
    assert not site.exists(workload)
    assert await runtime.inspect(workload.party_run_id) is None
    assert site.leftovers(translate.ROLE_WORKLOAD) == []
    await runtime.aclose()
    assert site.leftovers() == []
    return caught.value


async def reason_of(runtime: DockerRuntime, workload: Workload) -> Reason:
    """Return why it failed, whether the launch told it or what it left behind."""
    try:
        seen = await ran(runtime, workload)
    except RuntimeRefused as error:
        return error.reason
    return seen.reason


async def test_the_exit_code_is_the_workloads_own(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    seen = await ran(docker_runtime, site.shell("exit 7"))
    assert (seen.exit_code, seen.oom_killed, seen.reason) == (7, False, Reason.NONE)


async def test_too_much_memory_is_told_as_such(site: Site, docker_runtime: DockerRuntime) -> None:
    workload = site.shell("exec tail /dev/zero", resources=Resources(memory_bytes=16 * MIB))
    seen = await ran(docker_runtime, workload)
    assert (seen.exit_code, seen.oom_killed) == (137, True)


async def test_memory_that_only_a_child_took_is_told_too(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.shell("tail /dev/zero; exit 0", resources=Resources(memory_bytes=16 * MIB))
    seen = await ran(docker_runtime, workload)
    assert (seen.exit_code, seen.oom_killed) == (0, True)


@pytest.mark.parametrize(
    ("command", "exit_code"), [("nosuch", 127), ("/no/such", 127), ("/etc", 126)]
)
async def test_a_command_that_the_image_can_not_execute_is_refused(
    site: Site, docker_runtime: DockerRuntime, command: str, exit_code: int
) -> None:
    error = await refused(site, docker_runtime, site.workload(command, "argument"))
    assert (error.reason, error.exit_code) == (Reason.COMMAND_NOT_FOUND, exit_code)
    assert repr(command) in error.message


async def test_a_script_without_its_interpreter_is_recognised_when_it_has_ended(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    assert await reason_of(docker_runtime, site.workload("broken-script")) is (
        Reason.COMMAND_NOT_FOUND
    )


async def test_an_exit_127_of_the_workloads_own_is_no_missing_command(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    seen = await ran(docker_runtime, site.shell("exit 127"))
    assert (seen.phase, seen.exit_code, seen.reason) == (Phase.EXITED, 127, Reason.NONE)


async def test_no_command_at_all_is_refused(site: Site, docker_runtime: DockerRuntime) -> None:
    error = await refused(site, docker_runtime, site.workload())
    assert error.reason is Reason.COMMAND_NOT_FOUND


@pytest.mark.parametrize(
    ("command", "exit_code"), [("nosuch", 127), ("/no/such", 127), ("/etc", 126)]
)
async def test_the_engines_own_words_for_a_missing_command_are_understood(
    site: Site, command: str, exit_code: int
) -> None:
    # Without init it is the engine that finds the command missing.
    workload = site.workload(command)
    body = translate.create_body(
        workload,
        CAGE,
        agent_key=site.agent_key,
        image_id=site.image,
        image_digest="",
        sandbox_id="unused",
    )
    body["HostConfig"].update(Init=False, NetworkMode="none")
    engine = Engine(base_url=None, call_timeout_s=120)
    await engine.open()
    try:
        container_id = await engine.create("", body)
        with pytest.raises(EngineError) as caught:
            await engine.start(container_id)
    finally:
        await engine.aclose()
    error = refusals.of_start(workload, caught.value)
    assert isinstance(error, RuntimeRefused)
    assert (error.reason, error.exit_code) == (Reason.COMMAND_NOT_FOUND, exit_code)


async def test_a_gpu_on_an_engine_without_one_is_refused_and_leaves_no_container(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    error = await refused(site, docker_runtime, site.workload("true", gpu_ids=("0",)))
    assert error.reason is Reason.GPU_UNAVAILABLE


async def test_more_processors_than_the_site_has_are_refused(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    error = await refused(
        site, docker_runtime, site.workload("true", resources=Resources(cpus=4096))
    )
    assert error.reason is Reason.RESOURCES_UNAVAILABLE


async def test_less_memory_than_the_engine_can_limit_to_is_refused(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    error = await refused(
        site, docker_runtime, site.workload("true", resources=Resources(memory_bytes=1024))
    )
    assert error.reason is Reason.RESOURCES_UNAVAILABLE


async def test_a_user_that_the_image_does_not_have_is_refused(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    error = await refused(site, docker_runtime, site.workload("true", user="nosuch"))
    assert (error.reason, "'nosuch'" in error.message) == (Reason.RUNTIME_ERROR, True)


async def test_a_relative_workdir_is_refused(site: Site, docker_runtime: DockerRuntime) -> None:
    error = await refused(site, docker_runtime, site.workload("true", workdir="work"))
    assert (error.reason, "working directory" in error.message) == (Reason.RUNTIME_ERROR, True)


async def test_a_bind_whose_source_is_missing_is_refused_and_not_created(
    site: Site, docker_runtime: DockerRuntime, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    workload = site.workload("true", binds=(Bind(source=missing, target="/data"),))
    error = await refused(site, docker_runtime, workload)
    assert error.reason is Reason.RUNTIME_ERROR
    assert not missing.exists()


async def test_an_image_whose_registry_does_not_answer_is_a_failed_pull_and_told_while_it_lasts(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    told: list[tuple[Reason, str]] = []
    workload = site.workload("true", image_url="fedflow.invalid/none:1")
    with pytest.raises(RuntimeRefused) as caught:
        await docker_runtime.prepare(workload, lambda reason, text: told.append((reason, text)))
    assert caught.value.reason is Reason.IMAGE_PULL_FAILED
    assert told == [(Reason.PULLING_IMAGE, "Pulling fedflow.invalid/none:1")]
    assert site.leftovers(translate.ROLE_WORKLOAD) == []


async def test_a_name_that_no_image_can_have_is_not_found(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    error = await refused(site, docker_runtime, site.workload("true", image_url="NoSuch::1"))
    assert error.reason is Reason.IMAGE_NOT_FOUND


async def test_a_name_that_another_container_has_is_refused_and_that_one_stays(
    site: Site, docker_runtime: DockerRuntime
) -> None:
    workload = site.workload("true")
    name = translate.container_name(workload.party_run_id)
    body = {"Image": site.image, "Cmd": ["true"], "HostConfig": {"NetworkMode": "none"}}
    other = site.client.create_container_from_config(body, name)["Id"]
    try:
        with pytest.raises(RuntimeRefused) as caught:
            await docker_runtime.prepare(workload, ignore)
        assert caught.value.reason is Reason.RUNTIME_ERROR
        await docker_runtime.remove(workload.party_run_id)
        assert site.client.inspect_container(other)["Id"] == other
        assert await docker_runtime.inspect(workload.party_run_id) is None
    finally:
        site.client.remove_container(other, force=True)


async def test_an_engine_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    runtime = DockerRuntime(agent_key=new_id(), base_url=f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(RuntimeUnavailable):
        await runtime.open()
    await runtime.aclose()
    with pytest.raises(RuntimeUnavailable):
        await runtime.list()
