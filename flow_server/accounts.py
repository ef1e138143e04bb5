"""Who is let in, put together from the settings: the first admin, tokens, a trusted issuer."""

from datetime import UTC, datetime
from pathlib import Path

from flow_contract.errors import InvalidArgument, Kind
from flow_server.grpc_api.authentication import (
    Authenticator,
    FromCertificate,
    LocalAuthenticator,
    ProofAuthenticator,
)
from flow_server.oidc.issuer import Issuer, Trust
from flow_server.oidc.keys import IssuerKeys
from flow_server.services import bootstrap
from flow_server.services.sign_in import SignIn
from flow_server.settings import ServerSettings
from flow_server.storage.database import Database
from flow_server.storage.pg_account import default_state_dir


async def make_first_admin(database: Database, settings: ServerSettings) -> None:
    """Make the admin that `server init` prepared, if there is no user yet.

    Raises:
        InvalidArgument, Conflict: as `flow_server.services.bootstrap`.
    """
    if settings.insecure:
        return
    directory = settings.pki_dir or (settings.state_dir or default_state_dir()) / "pki"
    first = bootstrap.read(Path(directory))
    if first is not None:
        await bootstrap.make_first_admin(database, first, now=datetime.now(UTC))


def issuer_of(settings: ServerSettings) -> Issuer | None:
    """Return the issuer whose tokens are accepted too, None if there is none.

    Raises:
        InvalidArgument: it can't be trusted as it is given.
    """
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_audience:
        raise InvalidArgument(
            "--oidc-audience: say for whom the issuer's tokens must be; without it a token that "
            "was meant for another service would be good here",
            kind=Kind.SERVER,
            field="oidc_audience",
        )
    trust = Trust(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        user_claim=settings.oidc_user_claim,
        role_claim=settings.oidc_role_claim,
        roles=settings.oidc_roles,
    )
    return Issuer(trust, IssuerKeys(settings.oidc_issuer))


def authenticator_of(
    settings: ServerSettings, sign_in: SignIn, from_certificate: FromCertificate
) -> Authenticator:
    """Return who tells the callers of this server."""
    if settings.insecure:
        return LocalAuthenticator()
    return ProofAuthenticator(sign_in.caller_of, from_certificate)
