"""Tells another system, by a signed request (Standard Webhooks 1.0)."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from authstore import extras
from authstore.errors import ConfigurationError
from authstore.models import Event
from authstore.ops.alerts import Alert

if TYPE_CHECKING:
    import httpx2

_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Webhook:
    """A sink for alerts (`Monitor(on_alert=…)`) and events (`Auth(on_event=…)`, or a loop over `follow`).

    url: https, or http on this machine. secret: what both sides share, `whsec_…` or its base64. tries: how often one
    message is sent, with the same `webhook-id`, until it is taken (2xx); one that never is raises `ConnectionError`.
    timeout: seconds for each try. transport: as httpx takes it, for tests.

    Raises `ConfigurationError` for a URL or a secret that cannot work, or a missing extra.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        tries: int = 3,
        timeout: float = 10.0,
        transport: "httpx2.AsyncBaseTransport | None" = None,
    ) -> None:
        parts = urlsplit(url)
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOOPBACK):
            raise ConfigurationError("a webhook's URL is https (http on this machine alone)")
        if tries < 1:
            raise ConfigurationError("a message is sent once at least")
        self._url = url
        self._signing = _signing(secret)
        self._tries = tries
        self._timeout = timeout
        self._transport = transport

    async def __call__(self, what: Alert | Event) -> None:
        """Sends it. Raises `ConnectionError` where nobody takes it."""
        import httpx2

        said = ""
        id, message = _message(what)
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        async with httpx2.AsyncClient(transport=self._transport, timeout=self._timeout) as client:
            for attempt in range(self._tries):
                if attempt:
                    await asyncio.sleep(2 ** (attempt - 1))
                try:
                    answer = await client.post(self._url, content=body.encode(), headers=self._headers(id, body))
                except httpx2.HTTPError as error:
                    said = type(error).__name__
                    continue
                if answer.is_success:
                    return
                said = f"HTTP {answer.status_code}"
                if answer.status_code == HTTPStatus.GONE:
                    break
        raise ConnectionError(f"the webhook at {urlsplit(self._url).hostname} did not take it: {said}")

    def _headers(self, id: str, body: str) -> Mapping[str, str]:
        now = datetime.now(UTC)  # the receiver compares it with its own clock, whatever ours is in a test
        return {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signing.sign(id, now, body),
        }


def _signing(secret: str) -> Any:
    try:
        import httpx2  # noqa: F401 - asked for at the beginning, not at the first alert
        from standardwebhooks.webhooks import Webhook as Signing
    except ModuleNotFoundError as error:
        raise extras.missing(error, "webhooks") from None
    try:
        return Signing(secret)
    except Exception:  # noqa: BLE001 - whatever it is, its text may hold the secret
        raise ConfigurationError('a webhook\'s secret is base64, with or without "whsec_" before it') from None


def _message(what: Alert | Event) -> tuple[str, dict[str, Any]]:
    if isinstance(what, Event):
        data = what.model_dump(mode="json")
        return f"event_{what.seq}", {"type": what.type, "timestamp": data["at"], "data": data}
    alert = {"check": what.check, "state": what.state, "since": what.since.isoformat(), "detail": what.detail}
    return f"alert_{uuid.uuid4().hex}", {"type": "alert", "timestamp": alert["since"], "data": alert}
