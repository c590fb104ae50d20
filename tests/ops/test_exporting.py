"""Events in the words of other systems, held against what their published schemas ask for."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from authstore import CounterError, connect, ops
from authstore.models import Event
from authstore.ops.events.exporting import MEANINGS, OCSF_VERSION

# CloudEvents 1.0.2, formats/cloudevents.json: what must be there, and what else the specification names.
REQUIRED = {"id", "source", "specversion", "type"}
OPTIONAL = {"datacontenttype", "dataschema", "subject", "time", "data", "data_base64"}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# OCSF, events/base_event.json with includes/classification.json and includes/occurrence.json: what every event has.
OF_EVERY_EVENT = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}
# events/iam/account_change.json, authentication.json, authorize_session.json: the activities (0 and 99 everywhere),
# what each class must have, and of what it must have one at least. What came after 1.3 is left out.
ACTIVITIES = {3001: {*range(12)}, 3002: {*range(6)}, 3003: {0, 1, 2}}
REQUIRED_OF_CLASS = {3001: {"user"}, 3002: {"user"}, 3003: {"user"}}
ONE_OF_CLASS = {3001: set(), 3002: {"service", "dst_endpoint"}, 3003: {"privileges", "group"}}
# Of the dictionary, and of the objects metadata, product, user, actor, service and policy.
SEVERITIES, STATUSES, TYPES_OF_USER = {*range(7), 99}, {0, 1, 2, 99}, {0, 1, 2, 3, 99}
ONE_OF_OBJECT = {
    "user": {"account", "name", "uid"},
    "actor": {"process", "user", "invoked_by", "session", "app_name", "app_uid"},
    "service": {"name", "uid"},
    "policy": {"name", "uid"},
}
AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


def told(type: str, **values: Any) -> Event:
    return Event(seq=7, at=AT, type=type, **values)


def check_ocsf(found: dict[str, Any]) -> None:
    """Raises where the published schema would refuse it."""
    assert found.keys() >= OF_EVERY_EVENT | REQUIRED_OF_CLASS[found["class_uid"]]
    assert not ONE_OF_CLASS[found["class_uid"]] or ONE_OF_CLASS[found["class_uid"]] & found.keys()
    assert found["activity_id"] in ACTIVITIES[found["class_uid"]] | {99}
    assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
    assert found["category_uid"] == found["class_uid"] // 1000 == 3
    assert found["severity_id"] in SEVERITIES
    assert found["status_id"] in STATUSES
    assert found["user"]["type_id"] in TYPES_OF_USER
    assert isinstance(found["time"], int)
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["metadata"]["version"])
    assert {"name", "vendor_name"} <= found["metadata"]["product"].keys()
    for name, fields in ONE_OF_OBJECT.items():
        assert name not in found or fields & found[name].keys()
    for text in (found["activity_name"], found["class_name"], found["category_name"], found["severity"]):
        assert isinstance(text, str)
        assert text


async def test_whatever_happens_is_an_event_of_both() -> None:
    seen = set()
    async with connect("sqlite://", audit=timedelta(days=1)) as store:
        with ops.acting("admin:7"):
            user = await store.create_user(email="ada@example.com")
            await store.update_user(user.id, name="Ada")
            await store.link_account(user.id, "github", "1", access_token="secret-of-github")
            await store.link_account(user.id, "github", "1", scope="all")
            await store.unlink_account("github", "1")
            session = await store.create_session(user.id)
            await store.update_session(str(session.token), data={"a": 1})
            rotated = await store.rotate_session(str(session.token), grace=timedelta(seconds=5))
            await store.delete_session(str(rotated and rotated.token))
            made = await store.create_verification_token("ada@example.com")
            await store.use_verification_token("ada@example.com", str(made.token))
            await store.create_authenticator(user.id, "credential", b"key", counter=5)
            with pytest.raises(CounterError):
                await store.update_authenticator_counter("credential", 3)
            await store.delete_authenticator("credential")
            await store.create_role("editor")
            await store.update_role("editor", description="Edits")
            await store.grant_role(user.id, "editor")
            await store.revoke_role(user.id, "editor")
            await store.delete_role("editor")
            await store.update_user(user.id, disabled=True)
            await store.update_user(user.id, disabled=False)
            await store.delete_user(user.id)
        for event in await store.events(limit=1000):
            seen.add(event.type)
            check_ocsf(found := ops.ocsf(event, "Harbour Notes"))
            assert found["metadata"]["event_code"] == event.type
            assert not re.search(r"@|secret", repr((found, ops.cloudevent(event, "/auth"))))
    assert seen >= MEANINGS.keys() - {"account.refreshed", "account.updated"}


@pytest.mark.parametrize("type", [*MEANINGS, "visit.something-new"])
@pytest.mark.parametrize("values", [{}, {"user_id": "ada", "session_id": "s", "reason": "stolen", "actor": "admin:7"}])
def test_every_type_fits_both_schemas(type: str, values: dict[str, str]) -> None:
    event = told(type, **values, data={"role": "editor"})
    check_ocsf(ops.ocsf(event))
    found = ops.cloudevent(event, "https://app.example/auth")
    assert REQUIRED <= found.keys() <= REQUIRED | OPTIONAL
    assert all(isinstance(found[name], str) and found[name] for name in found.keys() - {"data"})
    assert (found["specversion"], found["type"]) == ("1.0", f"authstore.{type}")
    assert RFC_3339.fullmatch(found["time"])


@pytest.mark.parametrize(
    ("type", "class_uid", "activity"),
    [
        ("user.created", 3001, "Create"),
        ("user.disabled", 3001, "Disable"),
        ("session.created", 3002, "Logon"),
        ("session.ended", 3002, "Logoff"),
        ("authenticator.created", 3001, "MFA Factor Enable"),
        ("role.granted", 3003, "Assign Privileges"),
        ("role.revoked", 3001, "Detach Policy"),
        ("session.rotated", 3002, "session.rotated"),
    ],
)
def test_what_happened_is_called_what_it_is(type: str, class_uid: int, activity: str) -> None:
    found = ops.ocsf(told(type, user_id="ada", data={"role": "editor"}))
    assert (found["class_uid"], found["activity_name"]) == (class_uid, activity)


def test_a_theft_is_grave_and_a_copied_passkey_a_failure() -> None:
    stolen = ops.ocsf(told("session.ended", user_id="ada", session_id="s", reason="stolen", actor="job"))
    assert (stolen["severity"], stolen["status_detail"], stolen["session"]) == ("High", "stolen", {"uid": "s"})
    assert stolen["actor"] == {"user": {"name": "job"}}
    assert stolen["time"] == 1795348800123
    copied = ops.ocsf(told("authenticator.counter-error", user_id="ada"))
    assert (copied["status"], copied["severity"]) == ("Failure", "Medium")
    granted = ops.ocsf(told("role.granted", user_id="ada", data={"role": "editor"}))
    assert granted["privileges"] == ["editor"]
    assert granted["metadata"]["version"] == OCSF_VERSION


def test_a_cloudevent_says_what_the_event_says() -> None:
    found = ops.cloudevent(told("session.ended", user_id="ada", session_id="s", data={"n": 1}), "/auth")
    assert found == {
        "specversion": "1.0",
        "id": "7",
        "source": "/auth",
        "type": "authstore.session.ended",
        "time": "2026-11-22T12:00:00.123456Z",
        "datacontenttype": "application/json",
        "subject": "ada",
        "data": {"user_id": "ada", "session_id": "s", "reason": None, "actor": None, "data": {"n": 1}},
    }
    assert "subject" not in ops.cloudevent(told("role.created"), "/auth")


@pytest.mark.parametrize("source", ["", "two words", "https://exa<mple", "ünder", "a\nb"])
def test_a_source_is_a_uri_reference(source: str) -> None:
    with pytest.raises(ValueError, match="URI"):
        ops.cloudevent(told("user.created"), source)
    with pytest.raises(ValueError, match="sign in"):
        ops.ocsf(told("user.created"), "")
