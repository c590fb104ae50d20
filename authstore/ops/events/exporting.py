"""Events in the words of other systems: CloudEvents 1.0 (CNCF), and the Open Cybersecurity Schema Framework's classes
of identity and access management. What each type of event is there stands in one table."""

import re
from collections.abc import Mapping
from datetime import UTC
from importlib.metadata import version
from typing import Any, Final, Literal, NamedTuple

from authstore.models import Event

OCSF_VERSION: Final = "1.3.0"

_SPEC_VERSION: Final = "1.0"
_CATEGORY: Final = 3, "Identity & Access Management"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")  # RFC 3986 §2
_UNKNOWN: Final = "unknown"

_CLASSES: Final[Mapping[int, str]] = {3001: "Account Change", 3002: "Authentication", 3003: "Authorize Session"}
# What an activity is called, by class and number; under 99 ("other") it is called what the event is.
_ACTIVITIES: Final[Mapping[tuple[int, int], str]] = {
    (3001, 1): "Create",
    (3001, 2): "Enable",
    (3001, 5): "Disable",
    (3001, 6): "Delete",
    (3001, 8): "Detach Policy",
    (3001, 10): "MFA Factor Enable",
    (3001, 11): "MFA Factor Disable",
    (3002, 1): "Logon",
    (3002, 2): "Logoff",
    (3003, 1): "Assign Privileges",
}
_SEVERITIES: Final[Mapping[int, str]] = {1: "Informational", 3: "Medium", 4: "High"}
_STATUSES: Final[Mapping[int, str]] = {1: "Success", 2: "Failure"}
_OTHER: Final = 99


class Meaning(NamedTuple):
    """What an event is in OCSF. `of`: whether it is about a user, a role, or a role of a user."""

    class_uid: Literal[3001, 3002, 3003]
    activity_id: int
    of: Literal["user", "role", "grant"] = "user"
    severity_id: int = 1
    status_id: int = 1


MEANINGS: Final[Mapping[str, Meaning]] = {
    "user.created": Meaning(3001, 1),
    "user.updated": Meaning(3001, _OTHER),
    "user.disabled": Meaning(3001, 5),
    "user.enabled": Meaning(3001, 2),
    "user.deleted": Meaning(3001, 6),
    "account.linked": Meaning(3001, _OTHER),
    "account.updated": Meaning(3001, _OTHER),
    "account.unlinked": Meaning(3001, _OTHER),
    "account.refreshed": Meaning(3001, _OTHER),
    "session.created": Meaning(3002, 1),
    "session.changed": Meaning(3002, _OTHER),
    "session.ended": Meaning(3002, 2),
    "session.rotated": Meaning(3002, _OTHER),
    "verification-token.created": Meaning(3002, _OTHER),
    "verification-token.used": Meaning(3002, _OTHER),
    "authenticator.created": Meaning(3001, 10),
    "authenticator.deleted": Meaning(3001, 11),
    "authenticator.counter-error": Meaning(3002, 1, severity_id=3, status_id=2),
    "role.created": Meaning(3001, 1, of="role"),
    "role.changed": Meaning(3001, _OTHER, of="role"),
    "role.deleted": Meaning(3001, 6, of="role"),
    # Class 3003 has no word for what is taken away.
    "role.granted": Meaning(3003, 1, of="grant"),
    "role.revoked": Meaning(3001, 8, of="grant"),
}
_UNHEARD_OF: Final = Meaning(3001, _OTHER)


def cloudevent(event: Event, source: str) -> dict[str, Any]:
    """The event as a CloudEvent 1.0 in its JSON format, without a token, a secret or an address.

    source: which store it comes from, as a URI reference ("https://app.example/auth"); with it the event's number makes
    it one of its kind. Raises `ValueError` for a source that is none.
    """
    if not isinstance(source, str):
        raise TypeError("source is text")
    if not _REFERENCE.fullmatch(source):
        raise ValueError('source is a URI reference, such as "https://app.example/auth"')
    told = {
        "specversion": _SPEC_VERSION,
        "id": str(event.seq),
        "source": source,
        "type": f"authstore.{event.type}",
        "time": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": event.model_dump(mode="json", exclude={"seq", "at", "type"}),
    }
    return told if event.user_id is None else {**told, "subject": event.user_id}


def ocsf(event: Event, service: str = "authstore") -> dict[str, Any]:
    """The event in OCSF 1.3: class 3001 (Account Change), 3002 (Authentication) or 3003 (Authorize Session).

    service: what people sign in to. What OCSF has no field for stands under `unmapped`. A type of event that this
    release does not know is a change of another kind. Raises `ValueError` for an empty service.
    """
    if not isinstance(service, str):
        raise TypeError("service is text")
    if not service:
        raise ValueError("service is what people sign in to")
    meaning = MEANINGS.get(event.type, _UNHEARD_OF)
    severity_id = 4 if event.reason == "stolen" else meaning.severity_id
    told = {
        "category_uid": _CATEGORY[0],
        "category_name": _CATEGORY[1],
        "class_uid": meaning.class_uid,
        "class_name": _CLASSES[meaning.class_uid],
        "activity_id": meaning.activity_id,
        "activity_name": _ACTIVITIES.get(meaning[:2], event.type),
        "type_uid": meaning.class_uid * 100 + meaning.activity_id,
        "time": round(event.at.timestamp() * 1000),
        "severity_id": severity_id,
        "severity": _SEVERITIES[severity_id],
        "status_id": meaning.status_id,
        "status": _STATUSES[meaning.status_id],
        "metadata": _metadata(event),
        "user": _user(event, meaning),
        **_further(event, meaning, service),
    }
    return told if not event.data else {**told, "unmapped": dict(event.data)}


def _metadata(event: Event) -> dict[str, Any]:
    return {
        "version": OCSF_VERSION,
        "product": {"name": "authstore", "vendor_name": "authstore", "version": version("authstore")},
        "uid": str(event.seq),
        "sequence": event.seq,
        "event_code": event.type,
        "log_name": "changes",
    }


def _user(event: Event, meaning: Meaning) -> dict[str, Any]:
    """Whom it is about; the class speaks of "a user/role"."""
    if meaning.of == "role":
        return {"name": _role(event), "type_id": _OTHER, "type": "Role"}
    if event.user_id is None:
        return {"name": _UNKNOWN, "type_id": 0, "type": "Unknown"}
    return {"uid": event.user_id, "type_id": 1, "type": "User"}


def _further(event: Event, meaning: Meaning, service: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if meaning.class_uid == 3002:
        told["service"] = {"name": service}
    if event.session_id is not None and meaning.class_uid != 3001:
        told["session"] = {"uid": event.session_id}
    if event.actor is not None:
        told["actor"] = {"user": {"name": event.actor}}
    if event.reason is not None:
        told["status_detail"] = event.reason
    if meaning.class_uid == 3003:
        told["privileges"] = [_role(event)]
    elif meaning.of == "grant":
        told["policy"] = {"name": _role(event)}
    return told


def _role(event: Event) -> str:
    return str(event.data.get("role", _UNKNOWN))
