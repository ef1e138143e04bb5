"""`sdk.party`: the sites that take part."""

from flow_server_sdk import methods, shapes
from flow_server_sdk.calls.paging import page_of
from flow_server_sdk.calls.surface import R, Surface
from flow_server_sdk.dates import rfc822
from flow_server_sdk.payloads import forms
from flow_server_sdk.scripts import Call
from flow_wire import parties_pb2
from flow_wire.codec.parties import decode_party
from flow_wire.codec.times import decode_required_time


class PartyCalls(Surface[R]):
    """The sites: add and revoke them, list and get them, drain and resume them."""

    def list(self, page: int = 1, limit: int = 10) -> R:
        """Return data.parties, by id, and data.party_count of all pages."""
        return self._send(
            Call(
                method=methods.LIST_PARTIES,
                request=lambda: parties_pb2.ListPartiesRequest(**page_of(page, limit)),
                data=lambda reply: {
                    "parties": [shapes.party(decode_party(party)) for party in reply.parties],
                    "party_count": reply.party_count,
                },
            )
        )

    def get(self, federated_id: str) -> R:
        """Return one party as `data`."""
        return self._send(
            Call(
                method=methods.GET_PARTY,
                request=lambda: parties_pb2.GetPartyRequest(
                    federated_id=forms.text("federated_id", federated_id)
                ),
                data=lambda reply: shapes.party(decode_party(reply.party)),
            )
        )

    def add(self, federated_id: str, *, valid_hours: int = 24) -> R:
        """Return data.enrolment_token, with which the site's agent gets its certificate, once.

        It lasts `valid_hours` (1 to 168), until data.expires_at. The party's tokens that were
        not used are void from now on.
        """
        return self._send(
            Call(
                method=methods.ADD_PARTY,
                request=lambda: parties_pb2.AddPartyRequest(
                    federated_id=forms.text("federated_id", federated_id),
                    valid_hours=forms.integer("valid_hours", valid_hours),
                ),
                data=lambda reply: {
                    "enrolment_token": reply.enrolment_token,
                    "expires_at": rfc822(decode_required_time(reply, "expires_at")),
                },
            )
        )

    def revoke(self, federated_id: str) -> R:
        """End the party's connection and refuse its certificates for good. Twice is once."""
        return self._send(
            Call(
                method=methods.REVOKE_PARTY,
                request=lambda: parties_pb2.RevokePartyRequest(
                    federated_id=forms.text("federated_id", federated_id)
                ),
            )
        )

    def drain(self, federated_id: str) -> R:
        """Let the party take no new work; what runs there goes on. Twice is once."""
        return self._send(
            Call(
                method=methods.DRAIN_PARTY,
                request=lambda: parties_pb2.DrainPartyRequest(
                    federated_id=forms.text("federated_id", federated_id)
                ),
            )
        )

    def resume(self, federated_id: str) -> R:
        """Let the party take new work again, unless its agent itself takes none."""
        return self._send(
            Call(
                method=methods.RESUME_PARTY,
                request=lambda: parties_pb2.ResumePartyRequest(
                    federated_id=forms.text("federated_id", federated_id)
                ),
            )
        )
