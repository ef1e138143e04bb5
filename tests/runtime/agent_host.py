"""An agent that launches one workload and then only waits to be killed.

Arguments: state directory, party-run id, output directory, command.
"""

import asyncio
import os
import sys
from pathlib import Path

from flow_contract.templates import Network, Resources
from party_agent.runtime.port import Bind, Workload
from party_agent.runtime.process import ProcessRuntime


async def main(state_dir: str, party_run_id: str, output: str, *command: str) -> None:
    runtime = ProcessRuntime(Path(state_dir), environ=os.environ)
    await runtime.open()
    workload = Workload(
        party_run_id=party_run_id,
        image_url="any",
        workdir="",
        command=command,
        env={},
        binds=(Bind(source=Path(output), target="/output", writable=True),),
        resources=Resources(),
        gpu_ids=(),
        user="",
        network=Network.NONE,
        labels={},
    )
    await runtime.prepare(workload, lambda reason, message: None)
    await runtime.launch(workload)
    print("launched", flush=True)  # noqa: T201 - the test waits for this line
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
