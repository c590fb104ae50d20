"""The auth tables as `TableCopy`s: what the recognised tables of a source become in authstore's own tables."""

from dataclasses import dataclass

from authstore.errors import ConfigurationError
from authstore.mover.auth import fields as auth_fields
from authstore.mover.auth import role_fields
from authstore.mover.auth.decide import Decided, decide
from authstore.mover.auth.draft import Draft, Fields
from authstore.mover.auth.draft_builder import DraftBuilder, Surroundings
from authstore.mover.auth.problems import column_problems, inactive_roles, left_behind_problem, secret_problems
from authstore.mover.auth.run_times import run_times
from authstore.mover.auth.shut_out import ShutOut, shut_out
from authstore.mover.auth.user_link import UserLink, link_to_user
from authstore.mover.copies import Role, TableCopy, UserChanges
from authstore.mover.names import literal
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.connection import SourceConnection
from authstore.mover.postgres.statements import is_any, rows
from authstore.mover.recognition.profile import is_named
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

# Parents first.
_ORDER: tuple[Role, ...] = (
    "users",
    "accounts",
    "sessions",
    "verification_tokens",
    "authenticators",
    "roles",
    "permissions",
    "role_permissions",
    "user_roles",
)
_OF_ROLES = frozenset({"roles", "permissions", "role_permissions", "user_roles"})
_OF_USERS = frozenset({"accounts", "sessions", "authenticators", "user_roles"})


@dataclass(frozen=True, slots=True)
class AuthPlan:
    """Everything about the auth tables: their copies, parents first, every problem, and what became of users."""

    copies: tuple[TableCopy, ...]
    problems: tuple[Problem, ...]
    changes: UserChanges


def auth_plan(recognised: tuple[Recognised, ...], options: MoveOptions, connection: SourceConnection) -> AuthPlan:
    """The copies of the recognised tables, and every problem with exact counts.

    To be called inside the snapshot from which the rows will be read: rejects that no row of it has are left out.
    `ConfigurationError` where --naive-tz is no time zone of the server.
    """
    copies = _AuthCopies(recognised, options, connection)
    return AuthPlan(copies.all(), tuple(copies.problems), copies.changes)


class _AuthCopies:
    def __init__(self, recognised: tuple[Recognised, ...], options: MoveOptions, connection: SourceConnection) -> None:
        _check_zone(connection, options.naive_tz)
        self._recognised = recognised
        self._roles: dict[Role, Recognised] = {one.role: one for one in recognised if one.moved}
        self._around = Surroundings(connection, options, run_times(connection, options))
        self.problems: list[Problem] = []
        self._gone_roles: role_fields.Gone = {}
        self._users = self._decide_users()
        self.changes = _changes(self._users)

    def all(self) -> tuple[TableCopy, ...]:
        copies: list[TableCopy] = []
        for role in _ORDER:
            decided = self._users if role == "users" else self._decide(role)
            if decided is None or not self._is_wanted(self._roles[role]):
                continue
            copies.append(decided.copy)
            self.problems += [*decided.problems, *self._about_columns(role)]
        self.problems += [
            left_behind_problem(self._around.connection, one) for one in self._recognised if not one.moved
        ]
        return tuple(copies)

    def _is_wanted(self, one: Recognised) -> bool:
        only, skip = self._around.options.only, self._around.options.skip
        return (not only or is_named(one.table, only) or one.role in only) and not is_named(one.table, skip)

    def _about_columns(self, role: Role) -> list[Problem]:
        fields = self._fields(role)
        connection = self._around.connection
        found = [*secret_problems(connection, fields, self._around.options), *column_problems(fields)]
        return found + list(inactive_roles(connection, fields) if role == "roles" else [])

    def _fields(self, role: Role) -> Fields:
        return Fields(self._roles[role], self._around.options.naive_tz)

    def _decide_users(self) -> Decided | None:
        if "users" not in self._roles:
            return None
        draft = auth_fields.users_draft(*self._builder("users"))
        return decide(draft, None, self._around, lambda _users: frozenset())

    def _decide(self, role: Role) -> Decided | None:
        needed: set[Role] = {role}
        if role in _OF_USERS:
            needed.add("users")
        if role in ("role_permissions", "user_roles"):
            needed |= {"roles"} if role == "user_roles" else {"roles", "permissions"}
        if not needed <= set(self._roles):
            return None
        users = self._roles.get("users")
        link = link_to_user(self._fields(role), users, self.changes) if users and role in _OF_USERS else None
        decided = decide(self._draft(role, link), link, self._around, self._verified)
        if role == "roles":
            self._gone_roles = decided.gone
        return decided

    def _builder(self, role: Role) -> tuple[DraftBuilder, ShutOut]:
        fields = self._fields(role)
        shut = shut_out(fields, self._around) if role not in _OF_ROLES else ShutOut("FALSE", ())
        return DraftBuilder(fields, self._around), shut

    def _draft(self, role: Role, link: UserLink | None) -> Draft:
        builder, shut = self._builder(role)
        match role, link:
            case "accounts", UserLink():
                return auth_fields.accounts_draft(builder, link, shut)
            case "sessions", UserLink():
                return auth_fields.sessions_draft(builder, link, shut)
            case "authenticators", UserLink():
                return auth_fields.authenticators_draft(builder, link, shut)
            case "user_roles", UserLink():
                return role_fields.user_roles_draft(builder, link, self._roles["roles"], self._gone_roles)
            case "verification_tokens", _:
                return auth_fields.verification_tokens_draft(builder, shut)
            case "roles", _:
                return role_fields.roles_draft(builder)
            case "permissions", _:
                return role_fields.permissions_draft(builder)
        roles, permissions = self._roles["roles"], self._roles["permissions"]
        return role_fields.role_permissions_draft(builder, roles, permissions, self._gone_roles)

    def _verified(self, users: frozenset[str]) -> frozenset[str]:
        fields = self._fields("users")
        where = f"{is_any(fields.key('id').sql, sorted(users))} AND {auth_fields.is_verified(fields)}"
        found = rows(
            self._around.connection, f"SELECT {fields.key('id').sql} FROM {fields.source_from()} WHERE {where}"
        )
        return frozenset(user for (user,) in found)


def _changes(users: Decided | None) -> UserChanges:
    if users is None:
        return UserChanges()
    reasons = {user: why for why, ids in users.gone.items() for user in ids}
    return UserChanges(tuple(reasons), users.merged, reasons)


def _check_zone(connection: SourceConnection, zone: str) -> None:
    if zone != "UTC" and not rows(connection, f"SELECT 1 FROM pg_timezone_names WHERE name = {literal(zone)}"):
        raise ConfigurationError(f"--naive-tz: the source knows no time zone {zone!r}")
