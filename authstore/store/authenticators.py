"""Authenticators: passkeys and their signature counters."""

from collections.abc import Iterable
from datetime import datetime

from authstore.acting import current_actor
from authstore.adapter import JsonObject
from authstore.database import Unit
from authstore.errors import AuthenticatorNotFoundError, ConflictError, CounterError, UserNotFoundError
from authstore.models import Authenticator, DeviceType, check_text
from authstore.sql import queries
from authstore.store import rows
from authstore.store.shared import StoreBase, is_storable, json_object


class AuthenticatorStore(StoreBase):
    """`Authenticators` of the contract."""

    async def create_authenticator(
        self,
        user_id: str,
        credential_id: str,
        public_key: bytes,
        *,
        counter: int = 0,
        device_type: DeviceType | None = None,
        backed_up: bool = False,
        transports: Iterable[str] = (),
        name: str | None = None,
        data: JsonObject | None = None,
    ) -> Authenticator:
        """See `authstore.adapter.Authenticators.create_authenticator`."""
        if isinstance(transports, str):  # it would be one for each letter
            raise TypeError(f"transports is a list of texts: [{transports!r}]")
        made = Authenticator(
            credential_id=credential_id,
            user_id=user_id,
            public_key=public_key,
            counter=counter,
            device_type=device_type,
            backed_up=backed_up,
            transports=tuple(transports),
            name=name,
            data=json_object(data),
            created_at=self._now(),
        )
        return await self._write(lambda: _insert(made), made.created_at)

    async def get_authenticator(self, credential_id: str) -> Authenticator | None:
        """See `authstore.adapter.Authenticators.get_authenticator`."""
        if not is_storable(credential_id):
            return None
        row = await self._db.one(queries.get_authenticator(credential_id=credential_id))
        return rows.authenticator(row) if row else None

    async def list_authenticators(self, user_id: str) -> list[Authenticator]:
        """See `authstore.adapter.Authenticators.list_authenticators`."""
        if not is_storable(user_id):
            return []
        found = await self._db.all(queries.list_authenticators(user_id=user_id))
        return [rows.authenticator(row) for row in found]

    async def update_authenticator_counter(self, credential_id: str, counter: int) -> Authenticator:
        """See `authstore.adapter.Authenticators.update_authenticator_counter`."""
        if isinstance(counter, bool) or not isinstance(counter, int):
            raise TypeError("a counter is a whole number")
        if not 0 <= counter < 2**63:
            raise ValueError("a counter is not negative")
        if not is_storable(credential_id):
            raise AuthenticatorNotFoundError("no authenticator has this credential id")
        now = self._now()
        try:
            return await self._write_often(lambda: _advance(credential_id, counter, now), now)
        except CounterError:
            actor = current_actor()
            await self._write(lambda: _note_counter_error(credential_id, now, actor), now)
            raise

    async def rename_authenticator(self, credential_id: str, name: str | None) -> Authenticator | None:
        """The passkey under another name; `None` where there is none. An addition to the contract, which adapters of
        other people's need not have."""
        if not is_storable(credential_id):
            return None
        if name is not None:
            check_text(name)
        return await self._write_often(lambda: _rename(credential_id, name), self._now())

    async def delete_authenticator(self, credential_id: str) -> bool:
        """See `authstore.adapter.Authenticators.delete_authenticator`."""
        if not is_storable(credential_id):
            return False
        return await self._write(lambda: _delete(credential_id), self._now())


def _insert(made: Authenticator) -> Unit[Authenticator]:
    if not (yield queries.get_user(id=made.user_id)):
        raise UserNotFoundError("no user has this id")
    if not (yield queries.insert_authenticator(**rows.authenticator_values(made))):
        raise ConflictError("this credential is registered already")
    return made


def _advance(credential_id: str, counter: int, now: datetime) -> Unit[Authenticator]:
    advanced = yield queries.advance_counter(credential_id=credential_id, counter=counter, now=now)
    if advanced:
        return rows.authenticator(advanced[0])
    if (yield queries.get_authenticator(credential_id=credential_id)):
        raise CounterError("the signature counter did not grow: a cloned or replayed authenticator")
    raise AuthenticatorNotFoundError("no authenticator has this credential id")


def _rename(credential_id: str, name: str | None) -> Unit[Authenticator | None]:
    renamed = yield queries.rename_authenticator(credential_id=credential_id, name=name)
    return rows.authenticator(renamed[0]) if renamed else None


def _note_counter_error(credential_id: str, now: datetime, actor: str | None) -> Unit[None]:
    for row in (yield queries.get_authenticator(credential_id=credential_id)):
        yield queries.insert_change(
            at=now,
            type="authenticator.counter-error",
            user_id=row["user_id"],
            session_id=None,
            reason=None,
            actor=actor,
            data=rows.json_text({"credential": credential_id}),
        )


def _delete(credential_id: str) -> Unit[bool]:
    return bool((yield queries.delete_authenticator(credential_id=credential_id)))
