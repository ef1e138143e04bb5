"""What a workload may do as a plain process: little is promised, and that is kept."""

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from flow_contract.ids import new_id
from flow_contract.templates import Network, Resources
from party_agent.runtime.confinement import Confinement
from party_agent.runtime.port import Bind, Phase, RuntimeUnavailable, Workload
from party_agent.runtime.process import ProcessRuntime
from tests.runtime.harness import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the process runtime needs Linux")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs others' processes")

NOBODY = Confinement(user=(65_532, 65_532), groups=(4242,))


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own, which lets nobody else through.
    folder = Path(tempfile.mkdtemp(prefix="fedflow-security-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def nobody(folder: Path) -> AsyncIterator[ProcessRuntime]:
    runtime = ProcessRuntime(folder / "state", environ=os.environ, confinement=NOBODY)
    await runtime.open()
    yield runtime
    for seen in await runtime.list():
        await runtime.stop(seen.party_run_id, 0)
        await runtime.remove(seen.party_run_id)
    await runtime.aclose()


def shell(folder: Path, text: str) -> Workload:
    party_run_id = new_id()
    output = folder / f"output-{party_run_id}"
    output.mkdir(mode=0o700)
    return Workload(
        party_run_id=party_run_id,
        image_url="any:1",
        workdir="",
        command=("sh", "-c", text),
        env={},
        binds=(Bind(source=output, target="/output", writable=True),),
        resources=Resources(),
        gpu_ids=(),
        user="",
        network=Network.NONE,
        labels={},
    )


async def said(runtime: ProcessRuntime, workload: Workload) -> list[str]:
    """Run the workload to its end and return the words that it wrote to /output/said."""
    await runtime.prepare(workload, lambda *_: None)
    await runtime.launch(workload)
    ended = runtime._root / workload.party_run_id / "ended.json"
    await until(ended.exists)
    return (workload.binds[0].source / "said").read_text().split()


@needs_root
async def test_a_site_s_root_agent_runs_processes_as_the_user_it_names(
    folder: Path, nobody: ProcessRuntime
) -> None:
    text = 'touch "$HOME/a" "$TMPDIR/a" ./a && { id -u; id -G; } > "$FEDFLOW_OUTPUT_DIR/said"'
    assert await said(nobody, shell(folder, text)) == ["65532", "65532", "4242"]


@needs_root
async def test_another_user_reads_neither_the_agent_s_files_nor_its_environment(
    folder: Path, nobody: ProcessRuntime
) -> None:
    secret = folder / "secret"
    secret.write_text("mine")
    secret.chmod(0o600)
    attempts = (f"cat {secret}", f"cat /proc/{os.getpid()}/environ", f"ls {folder}/state")
    text = "".join(
        f'if {attempt} > /dev/null 2>&1; then echo did; else echo failed; fi >> "$OUT"\n'
        for attempt in attempts
    )
    workload = shell(folder, f'OUT="$FEDFLOW_OUTPUT_DIR/said"\n{text}')
    assert await said(nobody, workload) == ["failed"] * 3
    # What is refused to a stranger is there for the agent's own user.
    as_agent = ProcessRuntime(folder / "other-state", environ=os.environ)
    await as_agent.open()
    try:
        workload = shell(folder, f'OUT="$FEDFLOW_OUTPUT_DIR/said"\n{text}')
        assert await said(as_agent, workload) == ["did"] * 3
        await as_agent.remove(workload.party_run_id)
    finally:
        await as_agent.aclose()


@needs_root
async def test_another_user_s_process_is_stopped_like_any_other(
    folder: Path, nobody: ProcessRuntime
) -> None:
    text = 'trap "" TERM; echo deaf > "$FEDFLOW_OUTPUT_DIR/said"; exec sleep 100000'
    workload = shell(folder, text)
    await nobody.prepare(workload, lambda *_: None)
    await nobody.launch(workload)
    said = workload.binds[0].source / "said"
    await until(lambda: said.exists() and said.read_text())
    await nobody.stop(workload.party_run_id, 0)
    seen = await nobody.inspect(workload.party_run_id)
    assert seen is not None
    assert (seen.phase, seen.exit_code) == (Phase.EXITED, 137)


async def test_no_process_gains_rights_and_each_has_a_session_of_its_own(folder: Path) -> None:
    runtime = ProcessRuntime(folder / "state", environ=os.environ)
    await runtime.open()
    try:
        text = (
            "awk '/^NoNewPrivs/ {print $2}' /proc/self/status > \"$FEDFLOW_OUTPUT_DIR/said\";"
            'cut -d" " -f1,6 /proc/$$/stat >> "$FEDFLOW_OUTPUT_DIR/said"'
        )
        workload = shell(folder, text)
        no_new_rights, pid, session = await said(runtime, workload)
        assert no_new_rights == "1"
        assert pid == session
        await runtime.remove(workload.party_run_id)
    finally:
        await runtime.aclose()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
async def test_an_agent_that_is_not_root_says_that_it_can_not(folder: Path) -> None:
    runtime = ProcessRuntime(folder / "state", environ={}, confinement=NOBODY)
    with pytest.raises(RuntimeUnavailable, match="workload-user"):
        await runtime.open()
