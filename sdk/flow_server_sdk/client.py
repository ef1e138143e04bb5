"""FlowServerSdk and AsyncFlowServerSdk: one call surface, two ways to wait for an answer."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Self

from flow_contract.events import Event
from flow_server_sdk import address as addresses
from flow_server_sdk import known_servers
from flow_server_sdk.calls.audit import AuditCalls
from flow_server_sdk.calls.events import EventCalls
from flow_server_sdk.calls.parties import PartyCalls
from flow_server_sdk.calls.tasks import TaskCalls
from flow_server_sdk.calls.templates import TemplateCalls
from flow_server_sdk.calls.users import UserCalls
from flow_server_sdk.calls.webhooks import WebhookCalls
from flow_server_sdk.drivers import AsyncDriver, BlockingDriver
from flow_server_sdk.log_lines import LogLine
from flow_server_sdk.scripts import Link
from flow_server_sdk.shapes import Answer

DEFAULT_TIMEOUT_S = 30.0


class FlowServerSdk:
    """Speaks to the flow server at `host` and `port`; each object has its own connection.

    Every call returns {"ret_code": 0, "ret_msg": "success", "data": …}, with another ret_code
    and no data for what the caller can cause and cure. The rest is raised from
    `flow_contract.errors`: Unavailable (nobody answers within `timeout_s`, retries included),
    Unauthenticated, Forbidden, Internal.

    `token` is an API token, `ca` the path of the PEM file by which the server is known. What is
    left out comes from FEDFLOW_TOKEN, FEDFLOW_TOKEN_FILE and FEDFLOW_CA, then from what 'fedflow
    login' kept. A server on this machine of which neither is known is called in plain text; all
    else, and every call with a token, goes over TLS.

    Usable from any thread, and inside a running event loop, which it blocks.
    """

    def __init__(
        self,
        host: str,
        port: str | int,
        *,
        token: str | None = None,
        ca: str | Path | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.address = addresses.join(host, port)
        link = Link(address=self.address, timeout_s=_seconds(timeout_s))
        self._driver = BlockingDriver(
            self.address, known_servers.find(self.address, token=token, ca=ca)
        )
        self.template: TemplateCalls[Answer] = TemplateCalls(self._driver.run, link)
        self.task: TaskCalls[Answer, Iterator[LogLine], Iterator[Event]] = TaskCalls(
            self._driver.run, link, self._driver.iterate
        )
        self.party: PartyCalls[Answer] = PartyCalls(self._driver.run, link)
        self.user: UserCalls[Answer] = UserCalls(self._driver.run, link)
        self.event: EventCalls[Answer, Iterator[Event]] = EventCalls(
            self._driver.run, link, self._driver.iterate
        )
        self.webhook: WebhookCalls[Answer] = WebhookCalls(self._driver.run, link)
        self.audit: AuditCalls[Answer] = AuditCalls(self._driver.run, link)

    def close(self) -> None:
        """Close the connection; twice is once."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FlowServerSdk({self.address!r})"


AnswerLater = Coroutine[Any, Any, Answer]


class AsyncFlowServerSdk:
    """The same calls, each to be awaited. Belongs to the event loop of its first call."""

    def __init__(
        self,
        host: str,
        port: str | int,
        *,
        token: str | None = None,
        ca: str | Path | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.address = addresses.join(host, port)
        link = Link(address=self.address, timeout_s=_seconds(timeout_s))
        self._driver = AsyncDriver(
            self.address, known_servers.find(self.address, token=token, ca=ca)
        )
        self.template: TemplateCalls[AnswerLater] = TemplateCalls(self._driver.run, link)
        self.task: TaskCalls[AnswerLater, AsyncIterator[LogLine], AsyncIterator[Event]] = TaskCalls(
            self._driver.run, link, self._driver.iterate
        )
        self.party: PartyCalls[AnswerLater] = PartyCalls(self._driver.run, link)
        self.user: UserCalls[AnswerLater] = UserCalls(self._driver.run, link)
        self.event: EventCalls[AnswerLater, AsyncIterator[Event]] = EventCalls(
            self._driver.run, link, self._driver.iterate
        )
        self.webhook: WebhookCalls[AnswerLater] = WebhookCalls(self._driver.run, link)
        self.audit: AuditCalls[AnswerLater] = AuditCalls(self._driver.run, link)

    async def close(self) -> None:
        """Close the connection; twice is once."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncFlowServerSdk({self.address!r})"


def _seconds(timeout_s: float) -> float:
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise TypeError(f"timeout_s: must be a number, not {type(timeout_s).__name__}")
    if not 0 < timeout_s <= 10**8:
        raise ValueError(f"timeout_s: {timeout_s} must be above 0")
    return float(timeout_s)
