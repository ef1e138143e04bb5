"""How the server is dialled: with the site's identity over TLS, or in plain text on loopback."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import grpc.aio

from party_agent.clock import Clock
from party_agent.identity import files
from party_agent.identity.explain import why_no_tls
from party_agent.identity.files import Identity, IdentityMissing, IdentityUnusable
from party_agent.identity.keys import CertificateUnfit, check_time
from party_agent.settings import AgentSettings

Options = Sequence[tuple[str, int | str]]


class NoDoor(Exception):
    """The server can't be dialled with what this site has; only a person can change that."""


class Door(Protocol):
    """Opens channels to the server."""

    def open(self, options: Options) -> grpc.aio.Channel:
        """Return a new channel. Raises NoDoor."""

    async def explain(self) -> str:
        """Return in a sentence why no channel gets through, "" if nothing is seen."""


class PlainDoor:
    """Plain text, for a server on this machine that was told to do without proof."""

    def __init__(self, target: str) -> None:
        self._target = target

    def open(self, options: Options) -> grpc.aio.Channel:
        """Return a new channel."""
        return grpc.aio.insecure_channel(self._target, options=options)

    async def explain(self) -> str:
        """Return nothing: plain text has no secrets to get wrong."""
        return ""


class IdentityDoor:
    """TLS both ways, with the identity as it is on disk at that moment."""

    def __init__(self, state_dir: Path, *, target: str, party: str, clock: Clock) -> None:
        self._state_dir = state_dir
        self._target = target
        self._party = party
        self._clock = clock

    def open(self, options: Options) -> grpc.aio.Channel:
        """Return a new channel.

        Raises:
            NoDoor: the identity is gone, damaged, open to others, or another party's.
        """
        return secure_channel(self._identity(), self._target, options)

    async def explain(self) -> str:
        """Return why no channel gets through."""
        try:
            identity = self._identity()
        except NoDoor as error:
            return str(error)
        return await explain(identity, self._target, now=self._clock.now())

    def _identity(self) -> Identity:
        try:
            identity = files.read(self._state_dir)
        except (IdentityMissing, IdentityUnusable) as error:
            raise NoDoor(str(error)) from error
        if identity.party != self._party:
            raise NoDoor(
                f"the identity in {self._state_dir} is for party {identity.party!r}, and this "
                f"agent was started for {self._party!r}; restart the agent"
            )
        return identity


def door_of(settings: AgentSettings, clock: Clock) -> Door:
    """Return how the settings say that the server is dialled.

    Raises:
        IdentityMissing: by an identity, and there is no directory to have one in.
    """
    if settings.insecure:
        return PlainDoor(settings.server)
    if settings.state_dir is None:
        raise IdentityMissing("an agent without a state directory has no identity: --state-dir")
    return IdentityDoor(
        settings.state_dir, target=settings.server, party=settings.party, clock=clock
    )


def secure_channel(identity: Identity, target: str, options: Options) -> grpc.aio.Channel:
    """Return a channel that shows this identity and trusts its CA alone."""
    credentials = grpc.ssl_channel_credentials(
        identity.ca_pem, identity.key_pem, identity.certificate_pem
    )
    return grpc.aio.secure_channel(target, credentials, options=options)


async def explain(identity: Identity, target: str, *, now: datetime) -> str:
    """Return in a sentence why this identity gets no connection, "" if nothing is seen."""
    try:
        check_time(identity.facts, now=now)
    except CertificateUnfit as error:
        return str(error)
    return await asyncio.to_thread(
        why_no_tls,
        target,
        ca_pem=identity.ca_pem,
        key_pem=identity.key_pem,
        certificate_pem=identity.certificate_pem,
    )
