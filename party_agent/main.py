"""One agent as a process: log, runtime, signals, exit code."""

import asyncio
import resource
import signal

import structlog

from flow_tracing import TracingUnavailable, open_tracing
from party_agent import logs, nvidia
from party_agent.app import Agent
from party_agent.identity.files import IdentityMissing
from party_agent.journal_file import StateDirInUse, StateDirUnusable
from party_agent.policy.load import PolicyInvalid
from party_agent.runtime.port import RuntimeUnavailable
from party_agent.runtimes import NoStateDir, choose_runtime
from party_agent.settings import AgentSettings
from party_agent.telemetry.listener import ListenerUnusable
from party_agent.telemetry.telemetry import AgentTelemetry
from party_agent.tunnel.direct import DirectUnusable
from party_agent.version import version

EXIT_FAILED = 1
_MANY_FILES = 65_536

log = structlog.get_logger()


def run(settings: AgentSettings) -> int:
    """Run the agent until SIGTERM or SIGINT; return the process's exit code."""
    with logs.configured(level=settings.log_level, as_json=settings.log_json) as writer:
        _allow_many_files()
        try:
            asyncio.run(_run(settings))
        except PolicyInvalid as error:
            writer.write(f"{error}\n")
            return EXIT_FAILED
        except (
            IdentityMissing,
            StateDirInUse,
            StateDirUnusable,
            RuntimeUnavailable,
            NoStateDir,
            ListenerUnusable,
            DirectUnusable,
            TracingUnavailable,
        ) as error:
            writer.write(f"fedflow agent: {error}\n")
            return EXIT_FAILED
        except (asyncio.CancelledError, KeyboardInterrupt):
            # Told to end before it served, or a second time: nobody wants to wait any longer.
            return EXIT_FAILED
    return 0


def _allow_many_files() -> None:
    """Raise the soft limit on open files: a few hundred tunnels would reach it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def _run(settings: AgentSettings) -> None:
    opened = open_tracing(
        settings.otlp_endpoint,
        service="fedflow-agent",
        version=version(),
        instance=settings.party,
    )
    async with opened as tracing:
        await _serve(settings, AgentTelemetry(tracing))


async def _serve(settings: AgentSettings, telemetry: AgentTelemetry) -> None:
    runtime = await choose_runtime(settings, telemetry.engine)
    agent = Agent(settings, runtime, gpus=nvidia.inventory(settings.gpus), telemetry=telemetry)
    serving = asyncio.ensure_future(agent.run())

    def leave() -> None:
        if agent.is_leaving:
            serving.cancel()
        elif settings.drain_on_exit:
            agent.drain_soon()
        else:
            agent.close_soon()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    log.info(
        "agent_started",
        party_id=settings.party,
        server=settings.server,
        runtime=runtime.name,
        state_dir=str(settings.state_dir),
    )
    await serving
    log.info("agent_stopped", party_id=settings.party)
