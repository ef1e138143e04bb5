"""What callers may do, from the settings to those who see to it."""

from flow_server.domain.rates import Rate
from flow_server.grpc_api.rates import Limits
from flow_server.grpc_api.transport import TransportLimits
from flow_server.settings import ServerSettings

_MINUTE_S = 60
# A site that restarts its agent a few times in a row is no flood.
_CONNECTS_AT_ONCE = 20


def transport_limits(settings: ServerSettings) -> TransportLimits:
    """Return what one connection may ask for."""
    return TransportLimits(
        max_message_bytes=settings.max_message_bytes,
        max_metadata_bytes=settings.max_metadata_bytes,
        max_streams_per_connection=settings.max_streams_per_connection,
        max_connections=settings.max_connections,
        handshake_timeout_s=settings.handshake_timeout_s,
        connection_idle_s=settings.connection_idle_s,
        request_timeout_s=settings.request_timeout_s,
    )


def call_limits(settings: ServerSettings) -> Limits:
    """Return how often who may call. On a server without proof all callers are its own machine."""
    if settings.insecure:
        return Limits(
            per_token=None,
            per_address=None,
            calls_per_address=None,
            connects_per_party=None,
            wrong_enrolments_per_address=None,
        )
    wrong_per_min = settings.wrong_enrolments_per_address_per_min
    return Limits(
        per_token=_rate(settings.calls_per_token_per_s, settings.calls_per_token_burst),
        per_address=_rate(settings.calls_per_address_per_s, settings.calls_per_address_burst),
        calls_per_address=settings.calls_per_address_at_once or None,
        connects_per_party=_rate(
            settings.connects_per_party_per_min / _MINUTE_S, _CONNECTS_AT_ONCE
        ),
        wrong_enrolments_per_address=_rate(wrong_per_min / _MINUTE_S, max(1, wrong_per_min)),
    )


def _rate(per_s: float, burst: float) -> Rate | None:
    return Rate(per_s=per_s, burst=burst) if per_s else None
