"""Who calls, by what the connection and the call's metadata prove; and whether it may at all."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import structlog

from flow_contract.access import Caller, CallerKind, Right
from flow_contract.errors import Unauthenticated
from flow_server.domain.access import RULES, Who, admit
from flow_server.grpc_api import callers
from flow_server.grpc_api.callers import Calling
from flow_server.grpc_api.context import Context

AuthContext: TypeAlias = Mapping[str, Iterable[bytes]]
# (party id, serial number) of the certificate that the handshake checked, None without one.
FromCertificate: TypeAlias = Callable[[AuthContext], tuple[str, str] | None]

_HEADER = "authorization"
_SCHEME = "bearer "


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a call came with. `bearers` are the values of its authorization metadata."""

    bearers: tuple[str, ...] = field(repr=False)
    connection: AuthContext = field(repr=False)
    address: str


class Authenticator(Protocol):
    """Tells who calls. Raises Unauthenticated for a proof that is not good."""

    async def caller_of(self, proof: Proof) -> Caller:
        """Return the caller; one who shows nothing is nobody."""
        ...


class LocalAuthenticator:
    """Of a server that was told to do without proof: everybody who reaches it may do everything."""

    async def caller_of(self, proof: Proof) -> Caller:
        """Return the local caller."""
        return Caller(
            kind=CallerKind.LOCAL, name="local", rights=frozenset(Right), address=proof.address
        )


class ProofAuthenticator:
    """A verified certificate says which party, else a bearer token says which user.

    `caller_of_token` and `from_certificate` decide; this only finds out which one to ask.
    """

    def __init__(
        self,
        caller_of_token: Callable[[str], Awaitable[Caller]],
        from_certificate: FromCertificate,
    ) -> None:
        self._caller_of_token = caller_of_token
        self._from_certificate = from_certificate

    async def caller_of(self, proof: Proof) -> Caller:
        """Return the caller, nobody without any proof.

        Raises:
            Unauthenticated: a proof that is not good, or several.
            Unavailable: nobody can tell now.
        """
        shown = self._from_certificate(proof.connection)
        if shown is not None:
            party_id, serial = shown
            return Caller(
                kind=CallerKind.PARTY, name=party_id, credential=serial, address=proof.address
            )
        if not proof.bearers:
            return Caller(kind=CallerKind.NOBODY, address=proof.address)
        caller = await self._caller_of_token(_token(proof.bearers))
        return replace(caller, address=proof.address)


class Entrance:
    """Lets a call in: finds out who calls, and refuses who may not make this call at all."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def admit(self, method: str, context: Context) -> None:
        """Accept the call of `Service/Method`, and remember its caller for the servicer.

        Raises:
            Unauthenticated, Forbidden: it may not be made.
            Unavailable: nobody can tell now.
        """
        # A call without a rule is a defect, and refused as one.
        rule = RULES[method]
        proof = _proof(context)
        caller = Caller(kind=CallerKind.NOBODY, address=proof.address)

        async def again() -> Caller:
            return await self._authenticator.caller_of(proof)

        # Who shows a proof that is not good is nobody too, and the end of the call is noted.
        callers.enter(Calling(caller=caller, again=again))
        if rule.who is not Who.ANYBODY:
            caller = await again()
            callers.enter(Calling(caller=caller, again=again))
        structlog.contextvars.bind_contextvars(
            caller=caller.name, caller_kind=caller.kind.value, credential=caller.credential
        )

        admit(rule, caller)


def _proof(context: Context) -> Proof:
    metadata = context.invocation_metadata() or ()
    values = [value for key, value in metadata if key == _HEADER]
    return Proof(
        bearers=tuple(
            value if isinstance(value, str) else value.decode("latin-1") for value in values
        ),
        connection=context.auth_context() or {},
        address=context.peer(),
    )


def _token(bearers: tuple[str, ...]) -> str:
    value = bearers[0]
    if len(bearers) > 1 or value[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthenticated("authorization: give one value of the form 'Bearer <token>'")
    return value[len(_SCHEME) :].strip()
