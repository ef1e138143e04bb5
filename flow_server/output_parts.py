"""The parts that take outputs in and give them out, put together for one replica."""

from flow_server.domain.outputs import OutputCaps
from flow_server.grpc_api.outputs import OutputServicer
from flow_server.settings import ServerSettings
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Database
from flow_server.telemetry.metrics import ServerMetrics
from flow_server.telemetry.services import CountedOutputPushes, CountedOutputReads


def make_output_servicer(
    database: Database, blobs: Blobs, settings: ServerSettings, metrics: ServerMetrics
) -> OutputServicer:
    """Return what answers agents that push outputs and users who want them."""
    caps = OutputCaps(
        file_bytes=settings.output_bytes_per_file,
        run_bytes=settings.output_bytes_per_party_run,
        run_files=settings.output_files_per_party_run,
    )
    return OutputServicer(
        CountedOutputPushes(metrics, database, blobs, caps=caps),
        CountedOutputReads(metrics, database, blobs),
        insecure=settings.insecure,
    )
