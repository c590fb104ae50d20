"""In how many ways a user can sign in; the last one is never taken away."""

from collections.abc import Collection
from dataclasses import dataclass

from authstore.adapter import Adapter
from authstore.models import Account, Authenticator, User
from authstore.web.refusals import RefusedError


@dataclass(frozen=True, slots=True)
class WaysIn:
    """Of one user: accounts at providers in use, passkeys, and the mailbox where letters are sent."""

    accounts: list[Account]
    passkeys: list[Authenticator]
    providers: Collection[str]
    by_mail: bool

    def counts(self, account: Account) -> bool:
        """Whether this account signs in at all: not when its provider is no longer in use."""
        return account.provider in self.providers

    @property
    def number(self) -> int:
        """How many there are."""
        return sum(map(self.counts, self.accounts)) + len(self.passkeys) + int(self.by_mail)

    def check_account(self, account: Account) -> None:
        """Raises `RefusedError` where this account is the last way in."""
        if self.number <= int(self.counts(account)):
            raise RefusedError("last_way", 409)

    def check_passkey(self) -> None:
        """Raises `RefusedError` where a passkey is the last way in."""
        if self.number <= 1:
            raise RefusedError("last_way", 409)


async def ways_in(store: Adapter, user: User, providers: Collection[str], *, sends_mail: bool) -> WaysIn:
    """Looks them up."""
    by_mail = sends_mail and user.email is not None and user.email_verified is not None
    accounts, passkeys = await store.list_accounts(user.id), await store.list_authenticators(user.id)
    return WaysIn(accounts, passkeys, providers, by_mail)
