"""The fields of roles and permissions. In authstore a role is known by its name, a permission by what it allows."""

from collections.abc import Mapping

from authstore.mover.auth.draft import Draft, Fields, Unique
from authstore.mover.auth.draft_builder import DraftBuilder
from authstore.mover.auth.json_data import data_object
from authstore.mover.auth.user_link import UserLink
from authstore.mover.copies import Reject, TargetColumn
from authstore.mover.names import relation
from authstore.mover.postgres.statements import is_any
from authstore.mover.postgres.values import key_text
from authstore.mover.recognition.recognised import Recognised

Gone = Mapping[tuple[str, str], tuple[str, ...]]  # by reason and decision: ids of roles that are rejected


def roles_draft(builder: DraftBuilder) -> Draft:
    """Roles. Their old ids and what else has no field go into `data`."""
    fields = builder.fields
    name = builder.put_key("name").sql
    builder.put_text("description")
    columns = [fields.column("id"), *(c for c in fields.extra if c not in fields.secret)]
    builder.columns.append(TargetColumn("data", "TEXT", data_object(columns, fields.zone)))
    unique = Unique("name", (name,), (fields.one.fields["name"],))
    return _draft(fields, builder, ("name",), unique, row_id=fields.key("id").sql)


def permissions_draft(builder: DraftBuilder) -> Draft:
    """Permissions: several rows for one action on one resource say the same."""
    fields = builder.fields
    parts = tuple(builder.put_key(name).sql for name in ("resource", "action"))
    columns = tuple(fields.one.fields[name] for name in ("resource", "action"))
    unique = Unique("resource and action", parts, columns, harmless=True)
    return _draft(fields, builder, ("resource", "action"), unique, row_id=fields.key("id").sql)


def role_permissions_draft(builder: DraftBuilder, roles: Recognised, permissions: Recognised, gone: Gone) -> Draft:
    """Which role has which permission."""
    fields = builder.fields
    role = _End(fields, "role_id", roles, "r", "name")
    right = _End(fields, "permission_id", permissions, "p", "resource", "action")
    parts = (*role.values, *right.values)
    for name, sql in zip(("role_name", "resource", "action"), parts, strict=True):
        builder.columns.append(TargetColumn(name, "TEXT", sql))
    builder.rejects += [role.orphan, right.orphan, right.bad, *role.gone(gone)]
    return _link_draft(fields, builder, ("role_name", "resource", "action"), parts, role.join + right.join)


def user_roles_draft(builder: DraftBuilder, link: UserLink, roles: Recognised, gone: Gone) -> Draft:
    """Who has which role."""
    fields = builder.fields
    role = _End(fields, "role_id", roles, "r", "name")
    parts = (link.user_id, *role.values)
    for name, sql in zip(("user_id", "role_name"), parts, strict=True):
        builder.columns.append(TargetColumn(name, "TEXT", sql))
    builder.rejects += [role.orphan, *role.gone(gone)]
    return _link_draft(fields, builder, ("user_id", "role_name"), parts, role.join, link.user_id)


class _End:
    """One end of a link: the table it refers to, joined in."""

    def __init__(self, fields: Fields, field: str, end: Recognised, alias: str, *wanted: str) -> None:
        there = Fields(end, fields.zone, alias)
        its, own = there.ref("id"), fields.ref(field)
        if there.column("id").base != fields.column(field).base:
            its, own = key_text(there.column("id"), its).sql, key_text(fields.column(field), own).sql
        self.join = f" LEFT JOIN {relation(end.table, alias)} ON {its} = {own}"
        self.values = tuple(there.key(name).sql for name in wanted)
        self.orphan = Reject("orphan", f"{there.ref('id')} IS NULL", "on_orphan", fields.one.fields[field])
        empty = " OR ".join(there.key(name).bad for name in wanted)
        self.bad = Reject(f"its {end.role.removesuffix('s')} is rejected", f"({empty})")
        self._id = there.key("id").sql

    def gone(self, gone: Gone) -> list[Reject]:
        """Rows that hang on what is rejected."""
        return [Reject(why, is_any(self._id, ids), decision) for (why, decision), ids in gone.items()]


def _draft(fields: Fields, builder: DraftBuilder, key: tuple[str, ...], unique: Unique, row_id: str) -> Draft:
    return Draft(
        fields.one,
        fields.one.role,
        fields.source_from(),
        tuple(builder.columns),
        key,
        row_id=row_id,
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(unique,),
        order=fields.by_key,
        user=fields.key("id").sql,
    )


def _link_draft(
    fields: Fields,
    builder: DraftBuilder,
    key: tuple[str, ...],
    parts: tuple[str, ...],
    joins: str,
    user: str = "NULL::text",
) -> Draft:
    return Draft(
        fields.one,
        fields.one.role,
        fields.source_from() + joins,
        tuple(builder.columns),
        key,
        row_id=f"concat_ws(' ', {', '.join(fields.text(name) for name in fields.one.fields)})",
        identity=fields.identity,
        rejects=tuple(builder.rejects),
        uniques=(Unique("grant", parts, harmless=True),),
        order=fields.by_key,
        user=user,
    )
