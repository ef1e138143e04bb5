"""How logs are read: one stream, opened again where it was lost, line by line to its end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import grpc

from flow_contract.errors import InvalidArgument
from flow_contract.logs import LogRequest, check_request
from flow_server_sdk import failures, methods
from flow_server_sdk.log_lines import LineReader, LogLine
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import (
    MAX_ATTEMPTS,
    Give,
    Items,
    Link,
    Next,
    Open,
    Pause,
    explained,
    read,
)
from flow_wire.codec.logs import decode_log_chunk, decode_log_head, encode_log_request


def log_request(
    task_id: object,
    *,
    party: str | Sequence[str] | None,
    run_id: object,
    follow: object,
    since: datetime | None,
    tail: int | None,
) -> LogRequest:
    """Return what is asked for.

    Raises:
        InvalidArgument: a value can't be used.
    """
    if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
        raise InvalidArgument("since: must be an aware datetime", field="since")
    parties = [] if party is None else [party] if isinstance(party, str) else list(party)
    request = LogRequest(
        task_id=forms.text("task_id", task_id),
        run_id=forms.text("run_id", run_id),
        parties=tuple(forms.text("party", name) for name in parties),
        follow=forms.boolean("follow", follow),
        since=since,
        tail=None if tail is None else forms.integer("tail", tail),
    )
    check_request(request)
    return request


def read_lines(request: LogRequest, link: Link) -> Items:
    """Give the lines of these logs.

    Raises:
        FlowError: they can't be read.
    """
    lines = LineReader(since=request.since, tail=request.tail)
    attempt = 0
    while True:
        stream = yield Open(
            method=methods.READ_LOGS, request=encode_log_request(request), timeout_s=None
        )
        try:
            before = lines.positions
            while (reply := (yield Next(stream=stream))) is not None:
                yield Give(items=_taken(reply, lines, link))
                if lines.positions != before:
                    attempt = 0
            yield Give(items=lines.unfinished())
        except grpc.RpcError as error:
            attempt += 1
            if attempt >= MAX_ATTEMPTS or not failures.is_lost(error):
                raise (yield from explained(error, link)) from error
        else:
            return
        finally:
            stream.cancel()
        # A tail was asked for once; what came since then is all wanted.
        request = replace(request, positions=lines.positions)
        yield Pause(seconds=link.pause_s(attempt))


def _taken(reply: Any, lines: LineReader, link: Link) -> Sequence[LogLine]:
    match reply.WhichOneof("body"):
        case "head":
            head = read(link, lambda wire: decode_log_head(wire.head), reply)
            lines.begin(head)
            return ()
        case "chunk":
            return lines.take(read(link, lambda wire: decode_log_chunk(wire.chunk), reply))
        case _:
            return lines.rest()
