"""`sdk.audit`: who did what, from where, when, and how it ended."""

from flow_contract.audit import to_document
from flow_server_sdk import methods
from flow_server_sdk.calls.surface import R, Surface
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import Call
from flow_wire import audit_pb2
from flow_wire.codec.audit import decode_audit_entry


class AuditCalls(Surface[R]):
    """Read the server's audit log, in order."""

    def list(self, after_sequence: int = 0, limit: int = 100) -> R:
        """Return data.entries, oldest first, from the one after `after_sequence`.

        Each has what `flow_contract.audit` needs to verify it; `at` is ISO 8601 in UTC.
        """
        return self._send(
            Call(
                method=methods.LIST_AUDIT,
                request=lambda: audit_pb2.ListAuditRequest(
                    after_sequence=forms.integer("after_sequence", after_sequence),
                    limit=forms.integer("limit", limit),
                ),
                data=lambda reply: {
                    "entries": [to_document(decode_audit_entry(entry)) for entry in reply.entries]
                },
            )
        )
