"""A table that was recognised."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from authstore.mover.catalog import SourceTable
from authstore.mover.copies import Role


@dataclass(frozen=True, slots=True)
class Recognised:
    """A source table in its role, and which source column plays each field."""

    role: Role
    table: SourceTable
    fields: dict[str, str] = field(default_factory=dict)  # field of authstore → source column
    why: str = ""
    # False: an auth table all the same, never to be carried as it is, but left behind (reported by `auth_tables`):
    # Better Auth's verification, a second set of auth tables that `prefix` or the profile leaves out. Not a target of
    # references.
    moved: bool = True
    told: Mapping[str, str] = field(default_factory=dict)  # what a profile says of its fields; "": of no column
    user_in: tuple[str, ...] = ()  # of a session store: the keys in its data, one in another, that lead to a user's id
