"""In how many ways a user can sign in; the last one is never taken away."""

from collections.abc import Collection
from dataclasses import dataclass

from authstore.adapter import Adapter
from authstore.models import Account, Authenticator, User
from authstore.web.refusals import RefusedError
from authstore.web.site import Site


@dataclass(frozen=True, slots=True)
class WaysIn:
    """Of one user: accounts at providers in use, passkeys where they are, and the mailbox where letters are sent."""

    accounts: list[Account]
    passkeys: list[Authenticator]
    providers: Collection[str]
    by_passkey: bool
    by_mail: bool

    def counts(self, account: Account) -> bool:
        """Whether this account signs in at all: not when its provider is no longer in use."""
        return account.provider in self.providers

    @property
    def number(self) -> int:
        """How many there are."""
        passkeys = len(self.passkeys) if self.by_passkey else 0
        return sum(map(self.counts, self.accounts)) + passkeys + int(self.by_mail)

    def check_account(self, account: Account) -> None:
        """Raises `RefusedError` where this account is the last way in."""
        if self.number <= int(self.counts(account)):
            raise RefusedError("last_way", 409)

    def check_passkey(self) -> None:
        """Raises `RefusedError` where a passkey is the last way in."""
        if self.number <= 1:
            raise RefusedError("last_way", 409)


async def ways_in(site: Site, store: Adapter, user: User, providers: Collection[str]) -> WaysIn:
    """Looks them up, the user too: what the request began with may have changed meanwhile."""
    now = await store.get_user(user.id) or user
    by_mail = bool(site.page_values["email_enabled"]) and now.email is not None and now.email_verified is not None
    accounts, passkeys = await store.list_accounts(user.id), await store.list_authenticators(user.id)
    return WaysIn(accounts, passkeys, providers, bool(site.page_values["passkeys_enabled"]), by_mail)
