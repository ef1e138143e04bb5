"""Logs on the wire."""

from flow_contract.logs import LogChunk, LogClosed, LogEnd, LogHead, LogRequest, PartyLog
from flow_wire import logs_pb2
from flow_wire.codec.enums import LOG_STATE
from flow_wire.codec.times import decode_required_time, decode_time, encode_time


def encode_log_chunk(chunk: LogChunk) -> logs_pb2.LogChunk:
    """Contract to wire."""
    wire = logs_pb2.LogChunk(
        party_run_id=chunk.party_run_id,
        start=chunk.start,
        raw_bytes=chunk.raw_bytes,
        lines=chunk.lines,
        data=chunk.data,
    )
    encode_time(wire.first_at, chunk.first_at)
    encode_time(wire.last_at, chunk.last_at)
    return wire


def decode_log_chunk(wire: logs_pb2.LogChunk) -> LogChunk:
    """Wire to contract.

    Raises:
        InvalidArgument: a time can't be read.
    """
    return LogChunk(
        party_run_id=wire.party_run_id,
        start=wire.start,
        raw_bytes=wire.raw_bytes,
        first_at=decode_required_time(wire, "first_at"),
        last_at=decode_required_time(wire, "last_at"),
        lines=wire.lines,
        data=wire.data,
    )


def encode_log_closed(closed: LogClosed) -> logs_pb2.LogClosed:
    """Contract to wire."""
    return logs_pb2.LogClosed(
        party_run_id=closed.party_run_id, end=closed.end, withheld=closed.withheld
    )


def decode_log_closed(wire: logs_pb2.LogClosed) -> LogClosed:
    """Wire to contract."""
    return LogClosed(party_run_id=wire.party_run_id, end=wire.end, withheld=wire.withheld)


def encode_log_end(end: LogEnd) -> logs_pb2.LogEnd:
    """Contract to wire."""
    return logs_pb2.LogEnd(
        party_run_id=end.party_run_id, end=end.end, state=LOG_STATE.encode(end.state)
    )


def decode_log_end(wire: logs_pb2.LogEnd) -> LogEnd:
    """Wire to contract.

    Raises:
        InvalidArgument: the state is not a known one.
    """
    return LogEnd(
        party_run_id=wire.party_run_id, end=wire.end, state=LOG_STATE.decode(wire.state, "state")
    )


def encode_log_head(head: LogHead) -> logs_pb2.LogHead:
    """Contract to wire."""
    return logs_pb2.LogHead(
        run_id=head.run_id,
        parties=[
            logs_pb2.PartyLog(
                party_run_id=party.party_run_id,
                federated_id=party.federated_id,
                rank=party.rank,
                start=party.start,
                end=party.end,
                complete=party.complete,
                withheld=party.withheld,
            )
            for party in head.parties
        ],
    )


def decode_log_head(wire: logs_pb2.LogHead) -> LogHead:
    """Wire to contract."""
    return LogHead(
        run_id=wire.run_id,
        parties=tuple(
            PartyLog(
                party_run_id=party.party_run_id,
                federated_id=party.federated_id,
                rank=party.rank,
                start=party.start,
                end=party.end,
                complete=party.complete,
                withheld=party.withheld,
            )
            for party in wire.parties
        ),
    )


def encode_log_request(request: LogRequest) -> logs_pb2.ReadLogsRequest:
    """Contract to wire."""
    wire = logs_pb2.ReadLogsRequest(
        task_id=request.task_id,
        run_id=request.run_id,
        parties=request.parties,
        follow=request.follow,
        tail=request.tail,
        positions=request.positions,
    )
    encode_time(wire.since, request.since)
    return wire


def decode_log_request(wire: logs_pb2.ReadLogsRequest) -> LogRequest:
    """Wire to contract.

    Raises:
        InvalidArgument: the time can't be read.
    """
    return LogRequest(
        task_id=wire.task_id,
        run_id=wire.run_id,
        parties=tuple(wire.parties),
        follow=wire.follow,
        since=decode_time(wire, "since"),
        tail=wire.tail if wire.HasField("tail") else None,
        positions=dict(wire.positions),
    )
