"""Alerts and events reach another system signed, and are sent again until they are taken."""

import json
from datetime import UTC, datetime

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook as Receiver
from standardwebhooks.webhooks import WebhookVerificationError

from authstore import ConfigurationError, connect, ops

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ALERT = ops.Alert("log", "warning", datetime(2031, 1, 1, tzinfo=UTC), "70 MB")


class Endpoint(httpx2.AsyncBaseTransport):
    """The other side."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        status = self._statuses.pop(0)
        if status == 0:
            raise httpx2.ConnectError("on purpose")
        return httpx2.Response(status)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None:
        return None

    monkeypatch.setattr("authstore.ops.webhook.asyncio.sleep", at_once)


async def test_a_receiver_of_standard_webhooks_takes_it() -> None:
    endpoint = Endpoint(204)
    await ops.Webhook("https://pager.example/hook", SECRET, transport=endpoint)(ALERT)
    [request] = endpoint.requests
    message = Receiver(SECRET).verify(request.content, dict(request.headers))
    assert message["type"] == "alert"
    assert message["data"] == {
        "check": "log", "state": "warning", "since": "2031-01-01T00:00:00+00:00", "detail": "70 MB",
    }  # fmt: skip
    with pytest.raises(WebhookVerificationError):
        Receiver(SECRET).verify(request.content.replace(b"70", b"71"), dict(request.headers))


async def test_events_are_told_under_an_id_that_stays() -> None:
    endpoint = Endpoint(200, 200)
    hook = ops.Webhook("https://audit.example", SECRET, transport=endpoint)
    async with connect("sqlite://") as store:
        user = await store.create_user()
        await store.update_user(user.id, disabled=True)
        event = (await store.events())[-1]
    await hook(event)
    await hook(event)
    first, second = endpoint.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"event_{event.seq}"
    assert json.loads(first.content)["data"]["user_id"] == user.id
    assert json.loads(first.content)["type"] == "user.disabled"


async def test_what_is_not_taken_is_sent_again_as_the_same_message() -> None:
    endpoint = Endpoint(500, 0, 200)
    await ops.Webhook("https://pager.example", SECRET, transport=endpoint)(ALERT)
    assert len({request.headers["webhook-id"] for request in endpoint.requests}) == 1
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(("statuses", "sent"), [((503, 503, 503), 3), ((0, 0, 0), 3), ((410,), 1)])
async def test_what_nobody_takes_is_an_error_that_shows_no_secret(statuses: tuple[int, ...], sent: int) -> None:
    endpoint = Endpoint(*statuses)
    hook = ops.Webhook("https://user:pw@pager.example/hook?key=abc", SECRET, transport=endpoint)
    with pytest.raises(ConnectionError, match=r"pager\.example") as caught:
        await hook(ALERT)
    assert len(endpoint.requests) == sent
    assert all(secret not in str(caught.value) for secret in ("pw", "abc", SECRET))


@pytest.mark.parametrize("url", ["http://pager.example", "ftp://pager.example", "pager.example", ""])
def test_a_url_that_anybody_on_the_way_could_read_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        ops.Webhook(url, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "ü"])
def test_what_is_no_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="base64"):
        ops.Webhook("http://localhost:8000", secret)


def test_a_message_is_sent_once_at_least() -> None:
    with pytest.raises(ConfigurationError, match="once"):
        ops.Webhook("http://localhost:8000", SECRET, tries=0)
