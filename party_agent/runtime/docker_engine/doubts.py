"""Which workloads' commands seem to be missing from their images; the engine has the last word."""

from party_agent.runtime.docker_engine import commands
from party_agent.runtime.docker_engine.client import Engine, Json
from party_agent.runtime.docker_engine.translate import container_name
from party_agent.runtime.port import Workload

# How long a start whose command could not be found beforehand may take to fail.
_DOUBT_S = 10.0
_MAX_KNOWN_COMMANDS = 4096


class Doubts:
    """What one agent could not find when it looked, and what it once found."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known_commands: set[object] = set()
        self._doubtful: set[str] = set()

    async def look(self, workload: Workload, image: Json) -> None:
        """Note whether the command of a created container seems to be missing."""
        paths = commands.candidates(workload, image)
        shadows = tuple(bind.target for bind in workload.binds)
        known = (image["Id"], paths, shadows)
        if known in self._known_commands:
            return
        for path in paths:
            mode = await self._engine.file_mode(container_name(workload.party_run_id), path)
            if mode is not None and commands.is_executable(mode):
                if len(self._known_commands) >= _MAX_KNOWN_COMMANDS:
                    self._known_commands.clear()
                self._known_commands.add(known)
                return
        self._doubtful.add(workload.party_run_id)

    async def settle(self, party_run_id: str) -> None:
        """Wait, after a start in doubt, until it has failed or can be believed; once."""
        if party_run_id in self._doubtful:
            self._doubtful.discard(party_run_id)
            await self._engine.ended(container_name(party_run_id), within_s=_DOUBT_S)

    def forget(self, party_run_id: str) -> None:
        """Drop what there is of a workload that is gone."""
        self._doubtful.discard(party_run_id)
