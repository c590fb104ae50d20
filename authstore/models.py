"""What a store returns: frozen pydantic models, aware UTC datetimes, secrets that do not show themselves."""

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)
from pydantic_core import CoreSchema, core_schema


def aware_utc(value: Any) -> datetime:
    """The instant in UTC, from an aware datetime or its ISO-8601 text; `ValueError` for anything else.

    A number is refused: seconds and milliseconds, instants and durations look alike.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, datetime):
        raise ValueError("an instant is an aware datetime")
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise ValueError("an instant needs a time zone, as in datetime.now(UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the instant is outside the years 1 to 9999") from None


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("an instant as text is ISO-8601") from None  # its own message would quote the text


class _AwareUtc:
    """Half the time of pydantic's own aware datetime: these fields are most of what the hot path validates."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(aware_utc)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


def check_text(value: str) -> str:
    """The text itself, or `ValueError` where it holds what a database cannot keep: NUL or a lone surrogate."""
    if "\0" in value:
        raise ValueError("text must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("text must not contain a lone surrogate") from None
    return value


def _check_json(value: Any) -> None:
    match value:
        case str():
            check_text(value)
        case float() if not isfinite(value):
            raise ValueError("JSON has no NaN and no infinity")
        case dict():
            for key, item in value.items():
                check_text(key)
                _check_json(item)
        case list():
            for item in value:
                _check_json(item)
        case _:
            pass


def _checked_data(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if value:
        _check_json(value)
    return value


# The pattern also makes pydantic refuse lone surrogates.
Text = Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(strict=True, pattern=r"^[^\x00]+$")]  # a text that is not empty
Secret = Annotated[Text | None, Field(repr=False)]
Instant = Annotated[datetime, _AwareUtc]
Flag = Annotated[bool, Field(strict=True)]
# Its default is a factory everywhere: pydantic would copy a value deeply for every model made.
Data = Annotated[dict[str, JsonValue], AfterValidator(_checked_data)]

AccountType = Literal["oauth", "oidc", "email", "webauthn", "credentials"]
DeviceType = Literal["single_device", "multi_device"]


class Model(BaseModel, frozen=True):
    """The ground of all models; secrets are dumped only when `include` names them.

    `frozen` stands in every class line because type checkers look there: so they know what can be hashed.
    """

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, ser_json_bytes="base64", val_json_bytes="base64"
    )


class _WithSecrets(Model, frozen=True):
    _secrets: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _leave_secrets_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        asked = info.include
        named = asked if isinstance(asked, (set, dict)) else ()
        return {key: value for key, value in dumped.items() if key not in self._secrets or key in named}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What is dumped has the model's fields: without this a serializer makes the schema any object."""
        shape = handler(cast(CoreSchema, {key: value for key, value in schema.items() if key != "serialization"}))
        fields = handler.resolve_ref_schema(shape)
        if handler.mode == "serialization":
            fields["properties"] = {key: of for key, of in fields["properties"].items() if key not in cls._secrets}
        return shape


class User(Model, frozen=True):
    """Somebody who can sign in. `email` is canonical; `data` is the application's own."""

    id: Name
    email: Text | None = None
    email_verified: Instant | None = None
    name: Text | None = None
    image: Text | None = None
    disabled: Flag = False
    data: Data = Field(default_factory=dict)
    created_at: Instant
    updated_at: Instant


class Account(_WithSecrets, frozen=True):
    """A user's identity at a provider, with the tokens the provider gave (`expires_at`: of the access token).

    `unreadable` names the tokens that are there but encrypted under a key that was not given; they are `None` here.
    """

    _secrets: ClassVar[frozenset[str]] = frozenset({"access_token", "refresh_token", "id_token"})

    id: Name
    user_id: Name
    provider: Name
    provider_account_id: Name
    type: AccountType = "oauth"
    access_token: Secret = None
    refresh_token: Secret = None
    id_token: Secret = None
    token_type: Text | None = None
    scope: Text | None = None
    session_state: Text | None = None
    expires_at: Instant | None = None
    data: Data = Field(default_factory=dict)
    unreadable: tuple[Text, ...] = ()
    created_at: Instant
    updated_at: Instant


class Session(_WithSecrets, frozen=True):
    """A signed-in browser or device. `id` is safe to show, `token` is the secret and mostly `None`."""

    _secrets: ClassVar[frozenset[str]] = frozenset({"token"})

    id: Name
    token: Secret = None
    user_id: Name
    expires: Instant
    created_at: Instant
    last_used_at: Instant
    authenticated_at: Instant
    ip: Text | None = None
    user_agent: Text | None = None
    data: Data = Field(default_factory=dict)


class Visit(_WithSecrets, frozen=True):
    """What a site keeps for a browser, whether or not anybody is signed in there. `id` is safe to show, `token` is the
    secret and mostly `None`."""

    _secrets: ClassVar[frozenset[str]] = frozenset({"token"})

    id: Name
    token: Secret = None
    data: Data = Field(default_factory=dict)
    expires: Instant
    created_at: Instant
    last_used_at: Instant


class VerificationToken(_WithSecrets, frozen=True):
    """Proof, once, of control over `identifier` for one `purpose`."""

    _secrets: ClassVar[frozenset[str]] = frozenset({"token"})

    identifier: Name
    purpose: Name
    token: Secret = None
    expires: Instant
    data: Data = Field(default_factory=dict)


class Authenticator(Model, frozen=True):
    """A passkey (WebAuthn credential). `credential_id` is base64url, `public_key` the COSE key."""

    credential_id: Name
    user_id: Name
    public_key: Annotated[bytes, Field(strict=True)]
    counter: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    device_type: DeviceType | None = None
    backed_up: Flag = False
    transports: tuple[Text, ...] = ()
    name: Text | None = None
    data: Data = Field(default_factory=dict)
    created_at: Instant
    last_used_at: Instant | None = None


class Ended(Model, frozen=True):
    """What a session's token died of.

    reason: "expired", "idle", "signed-out", "revoked", "replaced" (a new sign-in of that browser), "rotated", "limit"
    (`max_per_user`), "user-disabled", "user-deleted", "stolen", or what the application gave. at: when it died, not
    when it was swept. by: who did it, where somebody said so (`ops.acting`; "sql" for plain SQL).
    """

    reason: str
    at: Instant
    by: str | None = None


class Event(Model, frozen=True):
    """Something that happened, as the change log has it. `seq` grows in the order of the log, not without gaps."""

    seq: int
    at: Instant
    type: str
    user_id: str | None = None
    session_id: str | None = None
    reason: str | None = None
    actor: str | None = None
    data: Data = Field(default_factory=dict)


class CacheInfo(Model, frozen=True):
    """What a cache did: look-ups answered from it and not, sessions in it, how many it was asked to hold."""

    hits: int
    misses: int
    entries: int
    size: int


class Permission(Model, frozen=True):
    """Leave to do `action` on `resource`."""

    resource: Name
    action: Name


class Role(Model, frozen=True):
    """A named set of permissions that users can be granted."""

    name: Name
    description: Text | None = None
    permissions: frozenset[Permission] = frozenset()
    data: Data = Field(default_factory=dict)


class SignIn(Model, frozen=True):
    """What `sign_in_with_account` did."""

    user: User
    account: Account
    created_user: bool
    linked_account: bool


class PruneReport(Model, frozen=True):
    """Rows deleted per table, and how many dead ones were left when time was up (at least, where they are many)."""

    deleted: dict[str, int]
    remaining: int


HealthStatus = Literal["pass", "warn", "fail"]


def _status(values: dict[str, Any]) -> HealthStatus:
    return "pass" if values.get("ok") else "fail"


class Health(Model, frozen=True):
    """Whether the store answers and can write; `detail` holds what the backend knows about itself.

    `status`: "warn" is alive, but busy or slow (`ok` is true then).
    """

    ok: bool
    status: HealthStatus = Field(default_factory=_status)
    latency: timedelta
    detail: dict[str, JsonValue]
