"""The tables of fastapi-users, in the same file as ours."""

import uuid

from fastapi_users import BaseUserManager, UUIDIDMixin
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID
from fastapi_users_db_sqlalchemy.access_token import SQLAlchemyBaseAccessTokenTableUUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Of the two tables."""


class PeerUser(SQLAlchemyBaseUserTableUUID, Base):
    """A user of fastapi-users."""

    name: Mapped[str | None] = mapped_column(default=None)


class PeerToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    """A session of fastapi-users."""


class Users(UUIDIDMixin, BaseUserManager[PeerUser, uuid.UUID]):
    """How fastapi-users finds users."""
