"""The auth tables as `TableCopy`s: what the recognised tables of a source become in authstore's own tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from authstore.errors import ConfigurationError
from authstore.mover.auth import fields as auth_fields
from authstore.mover.auth import role_fields
from authstore.mover.auth.decide import Decided, decide
from authstore.mover.auth.draft import Draft, Fields
from authstore.mover.auth.draft_builder import DraftBuilder
from authstore.mover.auth.duplicates import VerifiedUsers
from authstore.mover.auth.facts import Facts, read_facts
from authstore.mover.auth.problems import about_columns, left_behind_problem
from authstore.mover.auth.run_times import run_times
from authstore.mover.auth.user_link import link_to_user
from authstore.mover.auth.visits import ReadVisits, VisitFields, read_visits, visits_draft
from authstore.mover.copies import Role, TableCopy, UserChanges
from authstore.mover.names import OWN_TABLES, literal, relation
from authstore.mover.options import MoveOptions
from authstore.mover.postgres.asking import Asking
from authstore.mover.postgres.counting import count_rows
from authstore.mover.recognition.chosen import NEEDED, alone, is_chosen
from authstore.mover.recognition.recognised import Recognised
from authstore.mover.reports import Problem

_OF_ROLES = frozenset({"roles", "permissions", "role_permissions", "user_roles"})


@dataclass(frozen=True, slots=True)
class AuthPlan:
    """Everything about the auth tables: their copies, parents first, every problem, and what became of users."""

    copies: tuple[TableCopy, ...]
    problems: tuple[Problem, ...]
    changes: UserChanges


def auth_plan(recognised: tuple[Recognised, ...], options: MoveOptions) -> Asking[AuthPlan]:
    """The copies of the recognised tables, and every problem with exact counts.

    To be answered inside the snapshot from which the rows will be read: rejects that no row of it has are left out.
    `ConfigurationError` where `naive_tz` is no time zone of the server.
    """
    roles: dict[Role, Recognised] = {one.role: one for one in recognised if one.moved}
    builders, visits = yield from _read(roles, options)
    users = builders.get("users")
    verified = _verified(users.fields) if users else None
    done: dict[Role, Decided] = {}
    for role, builder in builders.items():
        draft = replace(_draft(role, builder, roles, done, visits), watched=builder.facts.unseen)
        done[role] = yield from decide(draft, options, verified)
    wanted: list[Role] = [role for role in builders if is_chosen(roles[role], options)]
    unwanted: list[Role] = [role for role in builders if role not in wanted]
    problems: list[Problem] = []
    for role in unwanted:
        problems.append((yield from left_behind_problem(replace(roles[role], why="as `only` says"))))
    for role in wanted:
        one = roles[role]
        if not NEEDED.get(role, frozenset()) <= set(wanted):
            problems += filter(None, [alone(one, wanted, (yield from count_rows(relation(one.table))))])
    for role in wanted:
        problems += [*done[role].problems, *(yield from about_columns(builders[role].fields, options))]
    for one in recognised:
        if not one.moved:
            problems.append((yield from left_behind_problem(one)))
    return AuthPlan(tuple(done[role].copy for role in wanted), tuple(problems), _changes(done.get("users")))


def _read(
    roles: Mapping[Role, Recognised], options: MoveOptions
) -> Asking[tuple[dict[Role, DraftBuilder], ReadVisits]]:
    """All that the rows have to be asked before anything can be drawn up, parents first."""
    yield from _check_zone(options.naive_tz)
    times = yield from run_times(options)
    store = roles.get("visits")
    visits = (yield from read_visits(store, options.naive_tz)) if store else ReadVisits()
    builders: dict[Role, DraftBuilder] = {}
    for role in OWN_TABLES:
        if {role, *NEEDED.get(role, ())} <= set(roles):
            fields = fields_of(roles[role], options.naive_tz, visits.user)
            facts = Facts() if role in _OF_ROLES else (yield from read_facts(fields, options, times.judged))
            if role == "sessions" and roles[role].user_in:  # who is not named by a row is nobody's session
                facts = replace(facts, shut=visits.nobodys(facts.shut))
            builders[role] = DraftBuilder(fields, facts, times, with_expired=options.with_expired)
    return builders, visits


def _draft(
    role: Role,
    builder: DraftBuilder,
    roles: Mapping[Role, Recognised],
    done: Mapping[Role, Decided],
    visits: ReadVisits,
) -> Draft:
    """A table's copy. `done`: the tables before it, for what hangs on their rows follows them."""
    match role:
        case "users":
            return auth_fields.users_draft(builder)
        case "verification_tokens":
            return auth_fields.verification_tokens_draft(builder)
        case "visits":
            return visits_draft(builder, visits)
        case "roles":
            return role_fields.roles_draft(builder)
        case "permissions":
            return role_fields.permissions_draft(builder)
        case "role_permissions":
            return role_fields.role_permissions_draft(builder, roles["roles"], roles["permissions"], done["roles"].gone)
    link = link_to_user(builder.fields, roles["users"], _changes(done["users"]))
    match role:
        case "accounts":
            draft = auth_fields.accounts_draft(builder, link)
        case "sessions":
            draft = auth_fields.sessions_draft(builder, link)
        case "authenticators":
            draft = auth_fields.authenticators_draft(builder, link)
        case "user_roles":
            draft = role_fields.user_roles_draft(builder, link, roles["roles"], done["roles"].gone)
    return replace(draft, rejects=(*draft.rejects, *link.rejects))


def fields_of(one: Recognised, zone: str, user: str = "NULL::text") -> Fields:
    """A recognised table's columns. `user`: SQL text of the user whom a row of a session store names."""
    return VisitFields(one, zone, user) if one.role == "visits" or one.user_in else Fields(one, zone)


def _verified(users: Fields) -> VerifiedUsers:
    return VerifiedUsers(users.key("id").sql, users.source_from(), auth_fields.is_verified(users))


def _changes(users: Decided | None) -> UserChanges:
    if users is None:
        return UserChanges()
    reasons = {user: why for why, ids in users.gone.items() for user in ids}
    return UserChanges(tuple(reasons), users.merged, reasons)


def _check_zone(zone: str) -> Asking[None]:
    if zone != "UTC" and not (yield f"SELECT 1 FROM pg_timezone_names WHERE name = {literal(zone)}"):
        raise ConfigurationError(f"`naive_tz`: the source knows no time zone {zone!r}")
