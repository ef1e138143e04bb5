"""Which runtime an agent uses; each is imported only when it is chosen."""

import hashlib
import os
from pathlib import Path

import structlog

from party_agent.runtime.confinement import Confinement, container_user
from party_agent.runtime.neighbours.ways import Ways
from party_agent.runtime.port import Runtime, RuntimeUnavailable
from party_agent.runtime.watch import CallWatch, unwatched
from party_agent.settings import AgentSettings, inherited_environment

log = structlog.get_logger()


class NoStateDir(ValueError):
    """The chosen runtime keeps things on disk and the settings name no directory."""


async def choose_runtime(settings: AgentSettings, watch_engine: CallWatch = unwatched) -> Runtime:
    """Return the runtime that the settings name, not yet opened.

    `auto` is docker where an engine answers, else process. `watch_engine` is told of each call
    to a container engine.

    Raises:
        NoStateDir: docker or process without a state directory.
    """
    if settings.runtime == "memory":
        from party_agent.runtime.memory import MemoryRuntime  # noqa: PLC0415  see above

        return MemoryRuntime()
    if settings.state_dir is None:
        raise NoStateDir("--state-dir: only the memory runtime does without a directory")
    if settings.runtime == "process":
        return _process(settings, settings.state_dir)
    if settings.runtime == "auto" and (why := await _why_no_engine(settings, settings.state_dir)):
        log.info("container_engine_not_found", why=why)
        return _process(settings, settings.state_dir)
    return _docker(settings, settings.state_dir, settings.warm_sandboxes, watch_engine)


def agent_key(settings: AgentSettings, state_dir: Path) -> str:
    """Return what tells this agent's containers from those of others on the same engine.

    It is the party and the state directory, of which an agent is the only user, and so it is
    the same after a restart, also after one with an emptied directory.
    """
    path = str(state_dir.resolve()).encode()
    return f"{settings.party}-{hashlib.sha256(path).hexdigest()[:12]}"


def confinement(
    settings: AgentSettings, state_dir: Path, *, default_user: tuple[int, int] | None
) -> Confinement:
    """Return what the settings let a workload be; the agent's own files are off limits."""
    uid, colon, gid = settings.workload_user.partition(":")
    return Confinement(
        user=(int(uid), int(gid)) if colon else default_user,
        groups=settings.workload_groups,
        allow_root=settings.allow_root,
        root_mode=settings.read_only_root,
        tmp_bytes=settings.tmp_bytes,
        max_pids=settings.max_pids,
        off_limits=(state_dir,),
    )


async def _why_no_engine(settings: AgentSettings, state_dir: Path) -> str:
    try:
        probe = _docker(settings, state_dir, 0)
        await probe.open()
    except (RuntimeUnavailable, ImportError) as error:
        return str(error)
    await probe.aclose()
    return ""


def _docker(
    settings: AgentSettings, state_dir: Path, pool_size: int, watch: CallWatch = unwatched
) -> Runtime:
    from party_agent.runtime.docker_engine.runtime import DockerRuntime  # noqa: PLC0415  see above

    own = (os.geteuid(), os.getegid())
    return DockerRuntime(
        agent_key=agent_key(settings, state_dir),
        pool_size=pool_size,
        confinement=confinement(settings, state_dir, default_user=container_user(own)),
        ways=Ways(
            way=settings.sockets,
            sidecar_image=settings.sidecar_image,
            folder=state_dir.resolve() / "sockets",
        ),
        watch=watch,
    )


def _process(settings: AgentSettings, state_dir: Path) -> Runtime:
    from party_agent.runtime.process import ProcessRuntime  # noqa: PLC0415  see above

    state_dir.mkdir(parents=True, exist_ok=True)
    return ProcessRuntime(
        state_dir / "workloads",
        environ=inherited_environment(),
        confinement=confinement(settings, state_dir, default_user=None),
    )
