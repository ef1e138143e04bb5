"""Outputs on the wire."""

from flow_contract.outputs import (
    ComingOutput,
    OutputAnswer,
    OutputFile,
    OutputsClosed,
    PackedOutput,
    PartyOutputs,
    Skipped,
    StoredOutput,
)
from flow_wire import outputs_pb2
from flow_wire.codec.enums import OUTPUT_STATE
from flow_wire.codec.times import decode_time, encode_time


def encode_output_file(file: OutputFile) -> outputs_pb2.OutputFile:
    """Contract to wire."""
    return outputs_pb2.OutputFile(upload_id=file.upload_id, name=file.name, bytes=file.bytes)


def decode_output_file(wire: outputs_pb2.OutputFile) -> OutputFile:
    """Wire to contract."""
    return OutputFile(upload_id=wire.upload_id, name=wire.name, bytes=wire.bytes)


def encode_packed_output(packed: PackedOutput) -> outputs_pb2.PackedOutput:
    """Contract to wire."""
    return outputs_pb2.PackedOutput(
        file=encode_output_file(packed.file), sha256=packed.sha256, data=packed.data
    )


def decode_packed_output(wire: outputs_pb2.PackedOutput) -> PackedOutput:
    """Wire to contract."""
    return PackedOutput(file=decode_output_file(wire.file), sha256=wire.sha256, data=wire.data)


def encode_output_answer(answer: OutputAnswer) -> outputs_pb2.OutputAnswer:
    """Contract to wire."""
    return outputs_pb2.OutputAnswer(
        state=OUTPUT_STATE.encode(answer.state), stored_bytes=answer.stored_bytes, why=answer.why
    )


def decode_output_answer(wire: outputs_pb2.OutputAnswer) -> OutputAnswer:
    """Wire to contract.

    Raises:
        InvalidArgument: the state is not known.
    """
    return OutputAnswer(
        state=OUTPUT_STATE.decode(wire.state, "state"),
        stored_bytes=wire.stored_bytes,
        why=wire.why,
    )


def encode_outputs_closed(closed: OutputsClosed) -> outputs_pb2.OutputClosed:
    """Contract to wire."""
    return outputs_pb2.OutputClosed(
        withheld=closed.withheld,
        skipped=[_encode_skipped(one) for one in closed.skipped],
        skipped_count=closed.skipped_count,
    )


def decode_outputs_closed(wire: outputs_pb2.OutputClosed) -> OutputsClosed:
    """Wire to contract."""
    return OutputsClosed(
        withheld=wire.withheld,
        skipped=tuple(_decode_skipped(one) for one in wire.skipped),
        skipped_count=wire.skipped_count,
    )


def encode_stored_output(stored: StoredOutput) -> outputs_pb2.StoredOutput:
    """Contract to wire."""
    wire = outputs_pb2.StoredOutput(
        federated_id=stored.federated_id,
        name=stored.name,
        bytes=stored.bytes,
        sha256=stored.sha256,
    )
    encode_time(wire.stored_at, stored.stored_at)
    return wire


def decode_stored_output(wire: outputs_pb2.StoredOutput) -> StoredOutput:
    """Wire to contract.

    Raises:
        InvalidArgument: a time can't be read.
    """
    return StoredOutput(
        federated_id=wire.federated_id,
        name=wire.name,
        bytes=wire.bytes,
        sha256=wire.sha256,
        stored_at=decode_time(wire, "stored_at"),
    )


def encode_party_outputs(party: PartyOutputs) -> outputs_pb2.PartyOutputs:
    """Contract to wire."""
    return outputs_pb2.PartyOutputs(
        federated_id=party.federated_id,
        rank=party.rank,
        complete=party.complete,
        closed=encode_outputs_closed(party.closed),
        files=party.files,
        bytes=party.bytes,
        coming=[
            outputs_pb2.ComingOutput(name=one.name, bytes=one.bytes, stored_bytes=one.stored_bytes)
            for one in party.coming
        ],
    )


def decode_party_outputs(wire: outputs_pb2.PartyOutputs) -> PartyOutputs:
    """Wire to contract."""
    return PartyOutputs(
        federated_id=wire.federated_id,
        rank=wire.rank,
        complete=wire.complete,
        files=wire.files,
        bytes=wire.bytes,
        closed=decode_outputs_closed(wire.closed),
        coming=tuple(
            ComingOutput(name=one.name, bytes=one.bytes, stored_bytes=one.stored_bytes)
            for one in wire.coming
        ),
    )


def _encode_skipped(skipped: Skipped) -> outputs_pb2.SkippedOutput:
    return outputs_pb2.SkippedOutput(name=skipped.name, why=skipped.why)


def _decode_skipped(wire: outputs_pb2.SkippedOutput) -> Skipped:
    return Skipped(name=wire.name, why=wire.why)
