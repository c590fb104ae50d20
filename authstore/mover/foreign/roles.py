"""One row of a recognised table as the row of authstore's that it becomes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from authstore.mover.catalog import SourceColumn
from authstore.mover.copies import Role
from authstore.mover.foreign import values
from authstore.mover.foreign.values import BadValueError
from authstore.mover.recognition.aliases import normalised, role_aliases
from authstore.mover.recognition.members import object_in, paths_in
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.recognition.secrets import is_secret
from authstore.mover.recognition.shut import BAD_STANDINGS, OPEN_WORDS, SHUT_WORDS, Shut, member, shutting_of
from authstore.mover.session_data import FLASKS_KEY, UnreadableDataError, data_of_bytes, data_of_text, json_of

Row = dict[str, Any]
GRANTS: tuple[Role, ...] = ("roles", "permissions", "role_permissions", "user_roles")
WITHOUT_DATA: tuple[Role, ...] = ("visits", "permissions", "role_permissions", "user_roles")
UNKNOWN = "1970-01-01T00:00:00.000000Z"  # when a session was authenticated that does not say


@dataclass(frozen=True, slots=True)
class Moments:
    """ISO text of one width. `moved`: of the first move; `used`: when sessions count as used; `judged`: expiry."""

    moved: str
    used: str
    judged: str


class UnknownWordError(Exception):
    """A column that may keep rows out says something that is not understood."""


@dataclass(frozen=True)
class Reading:
    """A recognised table, row by row. `secrets`: what becomes of columns that hold one and have no field."""

    one: Recognised
    moments: Moments
    zone: str
    secrets: str
    extra: tuple[str, ...] = field(init=False)
    secret: tuple[str, ...] = field(init=False)
    shut: tuple[Shut, ...] = field(init=False)
    members: tuple[SourceColumn, ...] = field(init=False)  # whose JSON, if that is what they hold, may shut rows out

    def __post_init__(self) -> None:
        taken = {name for played, name in self.one.fields.items() if (self.one.role, played) != ("roles", "id")}
        left = role_aliases()[self.one.role].left
        more = [c for c in self.one.table.columns if c.name not in taken and normalised(c.name) not in left]
        secret = tuple(column.name for column in more if is_secret(column))
        kept = tuple(c.name for c in more if self.secrets == "keep" or c.name not in secret)
        is_grant = self.one.role in GRANTS
        members = () if is_grant or "disabled" in self.one.told else tuple(more)
        shut = () if is_grant else shutting_of(self.one)
        found = (("extra", kept), ("secret", secret), ("shut", shut), ("members", members))
        for name, value in found:
            object.__setattr__(self, name, value)

    def _get(self, row: Row, name: str) -> Any:
        column = self.one.fields.get(name)
        return None if column is None else row[column]

    def _when(self, row: Row, name: str) -> str | None:
        return values.instant(self._get(row, name), self.zone)

    def _text(self, row: Row, name: str) -> str | None:
        return values.text(self._get(row, name))

    def _data(self, row: Row) -> str:
        return json.dumps({name: values.plain(row[name]) for name in self.extra}, ensure_ascii=False)

    def is_shut(self, row: Row) -> bool:
        """Whether the source keeps the row from being used. Raises `UnknownWordError`, `BadValueError`."""
        shuts = [*self.shut, *(shut for column in self.members for shut in self._members(column, row[column.name]))]
        found = [shut for shut in shuts if self._is_shut_by(shut, row)]
        for shut in found:
            if not shut.is_sure and not self.one.told.get("disabled"):
                raise UnknownWordError(f"{shut.name} may keep rows out: say so, or that it does not, in a `profile`")
        return bool(found)

    def _members(self, column: SourceColumn, value: Any) -> Iterator[Shut]:
        for path in paths_in(value) if isinstance(value, str) and value.lstrip().startswith("{") else ():
            if (shut := member(self.one.role, column, path)) is not None:
                yield shut

    def _is_shut_by(self, shut: Shut, row: Row) -> bool:
        value = row[shut.column.name]
        if shut.path:
            return self._is_shut_by_member(shut, value)
        if shut.kind == "word":
            if self.one.told.get("disabled") == shut.column.name:
                return str(value or "").strip().lower() not in OPEN_WORDS
            return self._says_shut(shut.column.name, value)
        if shut.kind == "standing":
            return str(value or "").strip().lower() in BAD_STANDINGS
        if shut.kind in ("since", "until"):
            when = values.instant(value or None, self.zone)
            return when is not None and (when <= self.moments.judged) == (shut.kind == "since")
        if shut.kind == "no":
            return not values.boolean(value)
        end = values.instant(row[shut.ends.name], self.zone) if shut.ends is not None else None
        return values.is_said(value) and (end is None or end > self.moments.judged)

    def _is_shut_by_member(self, shut: Shut, text: Any) -> bool:
        """A member that is not there says nothing."""
        value: Any = object_in(text) if isinstance(text, str) else {}
        for key in shut.path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None or value in ([], {}):
            return False
        said = str(value).strip().lower()
        if shut.kind == "standing":
            return said in BAD_STANDINGS
        if shut.kind == "no":
            return said not in values.YES and said != ""
        if shut.kind == "yes" or not values.is_said(value):
            return values.is_said(value)
        try:
            when = values.instant(value, self.zone)
        except BadValueError:
            return True
        return when is not None and (when <= self.moments.judged) == (shut.kind == "since")

    def _says_shut(self, name: str, value: Any) -> bool:
        word = str(value or "").strip().lower()
        if word not in (*OPEN_WORDS, *SHUT_WORDS):
            raise UnknownWordError(f"{name} may keep rows out, and what '{word[:40]}' means is not known")
        return word in SHUT_WORDS

    def made(self, row: Row) -> Row:
        """The row of authstore's. Raises `BadValueError`."""
        return _MAKERS[self.one.role](self, row)

    def is_over(self, made: Row) -> bool:
        """Whether it has expired."""
        return "expires" in made and made["expires"] <= self.moments.judged

    def user(self, row: Row) -> Row:
        created = self._when(row, "created_at") or self.moments.moved
        said = self._get(row, "email_verified")
        if isinstance(said, bool) or str(said).strip().lower() in ("0", "1", "true", "false"):
            verified = created if values.boolean(said) else None
        else:
            verified = values.instant(said, self.zone)
        has_address = self.one.fields.get("email") != self.one.fields.get("id")
        return {
            "id": values.key(self._get(row, "id")),
            "email": values.address(self._get(row, "email")) if has_address else None,
            "email_verified": verified,
            "name": self._text(row, "name"),
            "image": self._text(row, "image"),
            "disabled": int(self.is_shut(row)),
            "data": self._data(row),
            "created_at": created,
            "updated_at": self._when(row, "updated_at") or created,
        }

    def account(self, row: Row) -> Row:
        provider = values.key(self._get(row, "provider"))
        own = values.key(self._get(row, "provider_account_id"))
        created = self._when(row, "created_at") or self.moments.moved
        plain = ("access_token", "refresh_token", "id_token", "token_type", "scope", "session_state")
        return {
            "id": self._text(row, "id") or derived_id("account", provider, own),
            "user_id": self._text(row, "user_id"),
            "provider": provider,
            "provider_account_id": own,
            "type": values.account_type(self._get(row, "type"), provider),
            **{name: self._text(row, name) for name in plain},
            "expires_at": self._when(row, "expires_at"),
            "data": self._data(row),
            "created_at": created,
            "updated_at": self._when(row, "updated_at") or created,
        }

    def session(self, row: Row) -> Row:
        token = self._get(row, "token")
        is_hash = values.hashed_already(token) and "token" in self.one.told
        hashed = bytes.fromhex(token) if is_hash else values.token_hash(token)
        since = self._when(row, "authenticated_at")
        return {
            "id": self._text(row, "id") or hashed[:16].hex(),
            "token_hash": hashed,
            "token_indexed": 1,
            "user_id": self._text(row, "user_id"),
            "expires": self._expiry(row),
            "created_at": self.moments.used,
            "last_used_at": self.moments.used,
            "authenticated_at": min(since, self.moments.used) if since else UNKNOWN,
            "ip": self._text(row, "ip"),
            "user_agent": self._text(row, "user_agent"),
            "data": self._data(row),
        }

    def visit(self, row: Row) -> Row:
        raw, token = self._get(row, "data"), self._get(row, "token")
        if normalised(self.one.fields["token"]) == FLASKS_KEY:
            token = str(token).rpartition(":")[2]
        hashed = values.token_hash(token)
        try:
            data = data_of_bytes(raw) if isinstance(raw, bytes) else data_of_text(str(raw))
        except UnreadableDataError as error:
            raise BadValueError(str(error)) from error
        return {
            "id": hashed[:16].hex(),
            "token_hash": hashed,
            "token_indexed": 1,
            "expires": self._expiry(row),
            "created_at": self.moments.used,
            "last_used_at": self.moments.used,
            "data": json_of(data),
        }

    def verification_token(self, row: Row) -> Row:
        return {
            "identifier": values.identifier(self._get(row, "identifier")),
            "purpose": self._text(row, "purpose") or "sign-in",
            "token_hash": values.token_hash(self._get(row, "token")),
            "expires": self._expiry(row),
            "data": self._data(row),
            "created_at": self._when(row, "created_at") or self.moments.moved,
        }

    def authenticator(self, row: Row) -> Row:
        return {
            "credential_id": values.credential_id(self._get(row, "credential_id")),
            "user_id": self._text(row, "user_id"),
            "public_key": values.decoded(self._get(row, "public_key")),
            "counter": values.counter(self._get(row, "counter")),
            "device_type": values.device_type(self._get(row, "device_type")),
            "backed_up": int(values.boolean(self._get(row, "backed_up"))),
            "transports": values.transports(self._get(row, "transports")),
            "name": self._text(row, "name"),
            "data": self._data(row),
            "created_at": self._when(row, "created_at") or self.moments.moved,
            "last_used_at": self._when(row, "last_used_at"),
        }

    def role(self, row: Row) -> Row:
        """With its id, for what hangs on it."""
        name, own = values.key(self._get(row, "name")), self._text(row, "id")
        return {"id": own, "name": name, "description": self._text(row, "description"), "data": self._data(row)}

    def permission(self, row: Row) -> Row:
        """With its id, for what hangs on it."""
        known = {name: values.key(self._get(row, name)) for name in ("resource", "action")}
        return {"id": self._text(row, "id"), **known}

    def grant(self, row: Row) -> Row:
        """With the ids that its ends have in the file."""
        return {name: self._text(row, name) for name in self.one.fields}

    def _expiry(self, row: Row) -> str:
        found = self._when(row, "expires")
        if found is None:
            raise BadValueError("no expiry")
        return found


_MAKERS = {
    "users": Reading.user,
    "accounts": Reading.account,
    "sessions": Reading.session,
    "visits": Reading.visit,
    "verification_tokens": Reading.verification_token,
    "authenticators": Reading.authenticator,
    "roles": Reading.role,
    "permissions": Reading.permission,
    "role_permissions": Reading.grant,
    "user_roles": Reading.grant,
}
UNIQUE: Mapping[Role, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "users": (("id", ("id",)), ("e-mail address", ("email",))),
    "accounts": (("id", ("id",)), ("provider and account id", ("provider", "provider_account_id"))),
    "sessions": (("id", ("id",)), ("token", ("token_hash",))),
    "visits": (("token", ("token_hash",)),),
    "verification_tokens": (("identifier and token", ("identifier", "purpose", "token_hash")),),
    "authenticators": (("credential id", ("credential_id",)),),
    "roles": (("name", ("name",)),),
    "permissions": (("resource and action", ("resource", "action")),),
    "role_permissions": (("grant", ("role_name", "resource", "action")),),
    "user_roles": (("grant", ("user_id", "role_name")),),
}
HARMLESS = GRANTS[1:]  # rows that share these say the same: one of them stays, and nothing is lost


def derived_id(kind: str, *parts: str) -> str:
    """An id made of what tells the row from others, the same on every run, from which nothing can be read back."""
    return sha256("\x1f".join((kind, *parts)).encode()).hexdigest()[:32]
