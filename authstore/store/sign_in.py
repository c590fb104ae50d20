"""From "the provider says so" to a user, in one atomic step."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authstore.database import Row, Unit
from authstore.email import canonical_email
from authstore.encryption import Cipher
from authstore.errors import (
    AccountLinkedError,
    AccountNotLinkedError,
    EmailTakenError,
    InvalidEmailError,
    UserDisabledError,
    UserNotFoundError,
)
from authstore.models import Account, AccountType, SignIn, User
from authstore.sql import Query, Statement, queries
from authstore.store import rows
from authstore.store.accounts import AccountStore, claimed_account, given, insert_account, update_account
from authstore.store.log.acting import said
from authstore.store.sessions.endings import Ending, end_sessions
from authstore.store.sessions.slices import SlicingStore
from authstore.store.shared import is_storable
from authstore.store.users import insert_user


class SignInStore(AccountStore, SlicingStore):
    """`sign_in_with_account` of the contract."""

    async def sign_in_with_account(
        self,
        *,
        provider: str,
        provider_account_id: str,
        type: AccountType = "oidc",
        email: str | None = None,
        email_verified: bool = False,
        name: str | None = None,
        image: str | None = None,
        tokens: Mapping[str, Any] | None = None,
        current_user_id: str | None = None,
        trust_email: bool = False,
    ) -> SignIn:
        """See `authstore.adapter.Accounts.sign_in_with_account`."""
        if current_user_id is not None and not is_storable(current_user_id):
            raise UserNotFoundError("no user has this id")
        now = self._now()
        address = _address(email)
        # Only the boolean: providers have sent "false" as text.
        vouched = email_verified is True and address is not None
        user = User(
            id=self._new_id(now),
            email=address,
            email_verified=now if vouched else None,
            name=name,
            image=image,
            created_at=now,
            updated_at=now,
        )
        fields = given({"type": type, **(tokens or {})})
        account = self._new_account(now, user.id, provider, provider_account_id, fields)
        is_trusted = vouched and trust_email is True
        revoking = self._ending("revoked", now)
        is_new = current_user_id is None and self._tally.is_arriving
        step = _SignInStep(user, account, fields, current_user_id, is_trusted, self._cipher, revoking, is_new)
        try:
            signed_in, _ = await self._write_ending(self._write_often, step.run, now)
        except (AccountLinkedError, AccountNotLinkedError, UserDisabledError):
            self._tally.failed_sign_ins += 1
            raise
        self._tally.is_arriving = signed_in.created_user
        return signed_in


def _address(email: str | None) -> str | None:
    try:
        return None if email is None else canonical_email(email)
    except InvalidEmailError:
        return None


@dataclass(frozen=True, slots=True)
class _SignInStep:
    """The decision, on what stands in the database at that moment."""

    new_user: User
    new_account: Account
    fields: Mapping[str, Any]
    current_user_id: str | None
    trusted: bool
    cipher: Cipher
    revoking: Ending
    is_likely_new: bool

    @property
    def now(self) -> datetime:
        return self.new_account.created_at

    def run(self) -> Unit[SignIn]:
        arrived = SignIn(user=self.new_user, account=self.new_account, created_user=True, linked_account=True)
        if self.is_likely_new and (yield self._insertion(queries.insert_arrivals)):
            return arrived
        known = yield claimed_account(self.new_account.provider, self.new_account.provider_account_id)
        if known:
            return (yield from self._returning(known[0]))
        if self.current_user_id is None and (yield self._insertion(queries.insert_user_and_account)):
            yield queries.say_no_more_after()
            return arrived
        return (yield from said(self._arriving, self.now, self.revoking.actor))

    def _insertion(self, query: Query) -> Statement:
        """As one statement."""
        user = {name: getattr(self.new_user, name) for name in ("email", "email_verified", "name", "image")}
        values = rows.account_values(self.new_account, self.cipher)
        return query.alone(**user, **values, actor=self.revoking.actor)

    def _arriving(self) -> Unit[SignIn]:
        if self.current_user_id is not None:
            found = yield queries.get_user.changing(id=self.current_user_id)
            if not found:
                raise UserNotFoundError("no user has this id")
            return (yield from self._link_to(rows.user(found[0])))
        if self.new_user.email is not None:
            found = yield queries.get_user_by_email.changing(email=self.new_user.email)
            if found:
                return (yield from self._link_by_address(rows.user(found[0])))
        try:
            user = yield from insert_user(self.new_user)
        except EmailTakenError:  # where several write at once: taken since we looked
            return (yield from self.run())
        account = yield from insert_account(self.new_account, self.cipher)
        return SignIn(user=user, account=account, created_user=True, linked_account=True)

    def _returning(self, row: Row) -> Unit[SignIn]:
        owner = row["user_id"]
        if self.current_user_id not in (None, owner):
            raise AccountLinkedError("this account is linked to another user", user_id=owner)
        found = yield queries.get_user.changing(id=owner)
        user = _enabled(rows.user(found[0]))
        account = yield from update_account(row, self.fields, self.now, self.cipher)
        return SignIn(user=user, account=account, created_user=False, linked_account=False)

    def _link_by_address(self, user: User) -> Unit[SignIn]:
        if not self.trusted:
            raise AccountNotLinkedError("a user with this address has not linked this provider")
        _enabled(user)
        if user.email_verified is None:
            user = yield from self._hand_over(user)
        return (yield from self._link_to(user))

    def _hand_over(self, user: User) -> Unit[User]:
        """The user of an address that nobody had proved, to whom proves it now: whoever wrote it down beforehand keeps
        no way in (Sudhodanan and Paverd, "Pre-hijacked accounts", USENIX Security 2022, §6)."""
        yield from end_sessions(user.id, "", self.revoking)
        yield queries.delete_accounts(user_id=user.id)
        yield queries.delete_authenticators(user_id=user.id)
        proved = user.model_copy(update={"email_verified": self.now, "updated_at": self.now})
        yield queries.update_user(**rows.user_values(proved))
        return proved

    def _link_to(self, user: User) -> Unit[SignIn]:
        _enabled(user)
        owned = self.new_account.model_copy(update={"user_id": user.id})
        account = yield from insert_account(owned, self.cipher)
        return SignIn(user=user, account=account, created_user=False, linked_account=True)


def _enabled(user: User) -> User:
    if user.disabled:
        raise UserDisabledError("this user is disabled")
    return user
