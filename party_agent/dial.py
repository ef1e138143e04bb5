"""How an agent dials: the channel's options, and what it makes of the end of a connection."""

import grpc

# What answers nothing for so long is dialled anew. Packets that a network drops are sent again
# after 1, 3 and 7 seconds, so a network that heals is found within 4 seconds.
DIAL_TIMEOUT_S = 10.0

# Only a person can change these: a second agent of the same party, a wrong id, no Fedflow there.
FOR_PEOPLE = {
    grpc.StatusCode.ALREADY_EXISTS: "another agent of this party is connected; stop one of them",
    grpc.StatusCode.INVALID_ARGUMENT: "the server does not accept this agent's hello",
    grpc.StatusCode.UNAUTHENTICATED: "the server does not know who this agent is",
    grpc.StatusCode.PERMISSION_DENIED: "the server does not let this agent in",
    grpc.StatusCode.UNIMPLEMENTED: "what answers there is not a flow server",
}

# The core's own words for a ping that nobody answered; no status code tells it from a reset.
_SILENCE = "ping timeout"


def channel_options(keepalive_s: float) -> tuple[tuple[str, int], ...]:
    """Return the options of a channel that is left after `keepalive_s` of silence, twice."""
    keepalive_ms = max(1, round(keepalive_s * 1000))
    return (
        # Sent and answered below Python, also while every core is busy or the loop is held up.
        ("grpc.keepalive_time_ms", keepalive_ms),
        ("grpc.keepalive_timeout_ms", keepalive_ms),
        # The core waits for a ping's answer this long, a minute by default, whatever stands above.
        ("grpc.http2.ping_timeout_ms", keepalive_ms),
        ("grpc.http2.max_pings_without_data", 0),
        # The core's name for the least time that one attempt to connect gets.
        ("grpc.min_reconnect_backoff_ms", round(DIAL_TIMEOUT_S * 1000)),
        # Our own back-off decides when to dial; the channel lives for one session.
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", 64 * 1024 * 1024),
        # A connection of its own for each agent, also where many live in one process.
        ("grpc.use_local_subchannel_pool", 1),
    )


def went_silent(error: grpc.RpcError) -> bool:
    """Say whether the connection ended because nothing came any more, and nobody ended it."""
    return (
        error.code() is grpc.StatusCode.UNAVAILABLE and _SILENCE in (error.details() or "").lower()
    )
