"""The fields of roles and permissions. In authstore a role is known by its name, a permission by what it allows."""

from collections.abc import Mapping

from authstore.mover.drafts import Draft, Fault, Fields, Unique
from authstore.mover.field_values import key_text
from authstore.mover.json_data import data_object
from authstore.mover.names import relation
from authstore.mover.shapes import Recognised, TargetColumn
from authstore.mover.sheet import Sheet, Surroundings
from authstore.mover.statements import is_any
from authstore.mover.user_links import UserLink

Gone = Mapping[tuple[str, str], tuple[str, ...]]  # by reason and option: ids of roles that are rejected


def roles_draft(fields: Fields, around: Surroundings) -> Draft:
    """Roles. Their old ids and what else has no field go into `data`."""
    sheet = Sheet(fields, around)
    name = sheet.put_key("name").sql
    sheet.put_text("description")
    columns = [fields.column("id"), *(c for c in fields.extra if c not in fields.secret)]
    sheet.columns.append(TargetColumn("data", "TEXT", data_object(columns, fields.zone)))
    unique = Unique("name", (name,), (fields.one.fields["name"],))
    return _draft(fields, sheet, ("name",), unique, row_id=fields.key("id").sql)


def permissions_draft(fields: Fields, around: Surroundings) -> Draft:
    """Permissions: several rows for one action on one resource say the same."""
    sheet = Sheet(fields, around)
    parts = tuple(sheet.put_key(name).sql for name in ("resource", "action"))
    columns = tuple(fields.one.fields[name] for name in ("resource", "action"))
    unique = Unique("resource and action", parts, columns, harmless=True)
    return _draft(fields, sheet, ("resource", "action"), unique, row_id=fields.key("id").sql)


def role_permissions_draft(
    fields: Fields, roles: Recognised, permissions: Recognised, gone: Gone, around: Surroundings
) -> Draft:
    """Which role has which permission."""
    sheet = Sheet(fields, around)
    role = _End(fields, "role_id", roles, "r", "name")
    right = _End(fields, "permission_id", permissions, "p", "resource", "action")
    parts = (*role.values, *right.values)
    for name, sql in zip(("role_name", "resource", "action"), parts, strict=True):
        sheet.columns.append(TargetColumn(name, "TEXT", sql))
    sheet.faults += [role.orphan, right.orphan, right.bad, *role.gone(gone)]
    return _link_draft(fields, sheet, ("role_name", "resource", "action"), parts, role.join + right.join)


def user_roles_draft(fields: Fields, link: UserLink, roles: Recognised, gone: Gone, around: Surroundings) -> Draft:
    """Who has which role."""
    sheet = Sheet(fields, around)
    role = _End(fields, "role_id", roles, "r", "name")
    parts = (link.user_id, *role.values)
    for name, sql in zip(("user_id", "role_name"), parts, strict=True):
        sheet.columns.append(TargetColumn(name, "TEXT", sql))
    sheet.faults += [role.orphan, *role.gone(gone)]
    return _link_draft(fields, sheet, ("user_id", "role_name"), parts, role.join, link.user_id)


class _End:
    """One end of a link: the table it refers to, joined in."""

    def __init__(self, fields: Fields, field: str, end: Recognised, alias: str, *wanted: str) -> None:
        there = Fields(end, fields.zone, alias)
        its, own = there.ref("id"), fields.ref(field)
        if there.column("id").base != fields.column(field).base:
            its, own = key_text(there.column("id"), its).sql, key_text(fields.column(field), own).sql
        self.join = f" LEFT JOIN {relation(end.table, alias)} ON {its} = {own}"
        self.values = tuple(there.key(name).sql for name in wanted)
        self.orphan = Fault("orphan", f"{there.ref('id')} IS NULL", "--on-orphan", fields.one.fields[field])
        empty = " OR ".join(there.key(name).bad for name in wanted)
        self.bad = Fault(f"its {end.role.removesuffix('s')} is rejected", f"({empty})")
        self._id = there.key("id").sql

    def gone(self, gone: Gone) -> list[Fault]:
        """Rows that hang on what is rejected."""
        return [Fault(why, is_any(self._id, ids), option) for (why, option), ids in gone.items()]


def _draft(fields: Fields, sheet: Sheet, key: tuple[str, ...], unique: Unique, row_id: str) -> Draft:
    return Draft(
        fields.one,
        fields.one.role,
        fields.source_from(),
        tuple(sheet.columns),
        key,
        row_id=row_id,
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(unique,),
        order=fields.by_key,
        user=fields.key("id").sql,
    )


def _link_draft(
    fields: Fields, sheet: Sheet, key: tuple[str, ...], parts: tuple[str, ...], joins: str, user: str = "NULL::text"
) -> Draft:
    return Draft(
        fields.one,
        fields.one.role,
        fields.source_from() + joins,
        tuple(sheet.columns),
        key,
        row_id=f"concat_ws(' ', {', '.join(fields.text(name) for name in fields.one.fields)})",
        identity=fields.identity,
        faults=tuple(sheet.faults),
        uniques=(Unique("grant", parts, harmless=True),),
        order=fields.by_key,
        user=user,
    )
