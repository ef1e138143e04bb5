"""What a stream of outputs is about: who brings it, of which party run, and the file of now."""

from dataclasses import dataclass

from flow_contract.outputs import OutputFile


@dataclass(frozen=True, kw_only=True)
class OutputSender:
    """The party that pushes, and its certificate's serial number; None where nobody shows one."""

    federated_id: str
    serial: str | None = None


@dataclass(frozen=True, kw_only=True)
class Share:
    """The party run that is pushed, and by whom."""

    sender: OutputSender
    run_id: str
    party_run_id: str


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A large file on its way, in the parts of `blob`."""

    file: OutputFile
    blob: str
    stored_parts: int
