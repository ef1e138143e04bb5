"""What a workload's command and environment say once its run and its site are known; pure.

`{rank}`, `{coordinator}` and their like are filled in; a doubled `{{rank}}` gives `{rank}`, and
every brace around anything else stays as it is.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from flow_contract.assignments import WorkloadSpec
from flow_contract.coordination import Framework, RunRole
from flow_contract.reasons import Reason, sentence
from party_agent.neighbours import COORDINATOR_NUMBER, FIRST_PARTY_NUMBER, neighbours, own
from party_agent.runtime.port import Neighbour, RuntimeRefused

_PLAIN = (
    "party_id",
    "rank",
    "world_size",
    "coordinator",
    "address",
    "name",
    "epochs",
    "run_id",
    "task_id",
    "hyper_parameters",
    "data_dir",
    "output_dir",
)
_NAME = rf"(?:{'|'.join(_PLAIN)}|peer\.[0-9]+|hyper_parameter\.[^{{}}\s]+)"
_PLACEHOLDER = re.compile(rf"\{{(\{{{_NAME}\}})\}}|\{{({_NAME})\}}")

# What a program that listens everywhere is told; it may where it has a network of its own.
_EVERYWHERE = "0.0.0.0"  # noqa: S104  inside of a sandbox

# No more than a template may hold itself: a short command could ask for one long value many times.
MAX_FILLED_CHARS = 65_536


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What only the site knows: by what host a neighbour is reached, and where things lie.

    A directory "" is none.
    """

    host_of: Callable[[Neighbour], str]
    data_dir: str = ""
    output_dir: str = ""


def filled(spec: WorkloadSpec, around: Surroundings) -> WorkloadSpec:
    """Return the assignment with its placeholders filled in and its framework's arguments.

    Raises:
        RuntimeRefused: a placeholder stands for something that this run doesn't have.
    """
    values = _Values(spec, around)
    command = tuple(values.fill(word) for word in spec.command)
    if spec.framework is Framework.IFLEARNER:
        command += _iflearner(spec, values)
    env = {name: values.fill(text) for name, text in spec.env.items()}
    return replace(spec, command=command, env=env)


class _Values:
    """What each placeholder stands for in one party run."""

    def __init__(self, spec: WorkloadSpec, around: Surroundings) -> None:
        self._spec = spec
        self._around = around
        self._neighbours = {each.number: each for each in neighbours(spec)}
        self._room_chars = MAX_FILLED_CHARS

    def fill(self, text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: found[1] or self._fitting(found[2]), text)

    def _fitting(self, name: str) -> str:
        value = self._value(name)
        self._room_chars -= len(value)
        if self._room_chars < 0:
            raise _refused(f"{{{name}}}: more than {MAX_FILLED_CHARS} characters are filled in")
        return value

    def coordinator(self) -> str:
        neighbour = self._neighbours.get(COORDINATOR_NUMBER)
        if neighbour is None:
            raise _refused("{coordinator}: the run has no coordinator; declare one in the template")
        return self._around.host_of(neighbour)

    def address(self) -> str:
        if not self._neighbours:
            raise _refused(
                "{address}: nobody reaches this workload; declare a coordinator or a mesh in the "
                "template"
            )
        return self._around.host_of(own(self._spec))

    def listens_at(self) -> str:
        # Where others go by their names the network is the workload's own.
        has_names = self.coordinator() == self._neighbours[COORDINATOR_NUMBER].name
        return _EVERYWHERE if has_names else self.address()

    def peer(self, rank: int) -> str:
        parties = len(self._spec.parties)
        if rank >= parties:
            raise _refused(f"{{peer.{rank}}}: the ranks of this run are 0 to {parties - 1}")
        neighbour = self._neighbours.get(FIRST_PARTY_NUMBER + rank)
        if neighbour is None:
            raise _refused(
                f"{{peer.{rank}}}: the members of this run don't reach that party; declare its "
                "ports as the template's mesh"
            )
        return self._around.host_of(neighbour)

    def _value(self, name: str) -> str:
        head, _, rest = name.partition(".")
        if head == "peer":
            return self.peer(int(rest))
        if rest:
            return self._hyper_parameter(rest)
        spec = self._spec
        ways: dict[str, Callable[[], str]] = {
            "party_id": lambda: spec.federated_id,
            "rank": lambda: str(spec.rank),
            "world_size": lambda: str(len(spec.parties)),
            "coordinator": self.coordinator,
            "address": self.address,
            "name": lambda: own(spec).name,
            "epochs": lambda: str(spec.epochs),
            "run_id": lambda: spec.run_id,
            "task_id": lambda: spec.task_id,
            "hyper_parameters": lambda: json.dumps(spec.hyper_parameter),
            "data_dir": lambda: self._directory("data_dir", self._around.data_dir),
            "output_dir": lambda: self._directory("output_dir", self._around.output_dir),
        }
        return ways[name]()

    def _hyper_parameter(self, name: str) -> str:
        pairs = (entry.split("=", 1) for entry in self._spec.hyper_parameter if "=" in entry)
        given = {key.strip(): value for key, value in pairs}
        if name not in given:
            known = ", ".join(sorted(given)) or "none"
            raise _refused(
                f"{{hyper_parameter.{name}}}: the run was started without {name}; it has {known}"
            )
        return given[name]

    def _directory(self, name: str, path: str) -> str:
        if not path:
            raise _refused(f"{{{name}}}: this party run has no such directory")
        return path


def _iflearner(spec: WorkloadSpec, values: _Values) -> tuple[str, ...]:
    """Return what iflearner's strict parsers expect: the same words as ever, and no others."""
    parties = len(spec.parties)
    if spec.role is RunRole.COORDINATOR:
        return (f"-n={parties}", f"--epochs={spec.epochs}")
    if not spec.coordinator_ports:
        raise _refused("an iflearner party needs a coordinator; declare one in the template")
    server = f"{values.coordinator()}:{spec.coordinator_ports[0]}"
    words = (f"--name={spec.federated_id}", f"--epochs={spec.epochs}", f"--server={server}")
    if not spec.enable_smpc or parties == 1:
        return words
    if not spec.mesh:
        raise _refused(
            "enable_smpc: iflearner's parties then talk to each other; declare a port for it as "
            "the template's mesh"
        )
    port = spec.mesh[0].first
    others = [values.peer(rank) for rank in range(parties) if rank != spec.rank]
    hosts = [f"{host}:{port}" for host in (values.listens_at(), *others)]
    return (*words, f"--peers={';'.join(hosts)}")


def _refused(detail: str) -> RuntimeRefused:
    reason = Reason.PLACEHOLDER_UNKNOWN
    return RuntimeRefused(reason, sentence(reason, detail))
