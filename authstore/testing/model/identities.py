"""Users with addresses, accounts, passkeys and roles."""

import copy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, multiple, rule

from authstore.errors import (
    AccountLinkedError,
    AccountNotLinkedError,
    AuthenticatorNotFoundError,
    ConflictError,
    CounterError,
    EmailTakenError,
    InvalidEmailError,
    RoleNotFoundError,
    UserDisabledError,
    UserNotFoundError,
)
from authstore.models import Permission
from authstore.testing.model.expected import ExpectedUser
from authstore.testing.model.machine import DATA, TEXTS, ModelBase

# Every spelling with its canonical form, worked out by hand; `None` is no address.
ADDRESSES: dict[str, str | None] = {
    "ada@example.com": "ada@example.com",
    "  ADA@Example.COM\t": "ada@example.com",
    "\u0430da@example.com": "\u0430da@example.com",  # CYRILLIC SMALL LETTER A
    "ada@ex\u00e4mple.com": "ada@xn--exmple-cua.com",
    "ada@XN--EXMPLE-CUA.com": "ada@xn--exmple-cua.com",
    "ada@exa\u0308mple.com": "ada@xn--exmple-cua.com",  # decomposed
    "jos\u00e9@example.com": "jos\u00e9@example.com",
    "jose\u0301@example.com": "jos\u00e9@example.com",
    "JOS\u00c9@example.com": "jos\u00c9@example.com",  # only ASCII is lower-cased
    "sim@example.com": "sim@example.com",
    "\u017fim@example.com": "\u017fim@example.com",  # LATIN SMALL LETTER LONG S
    "s\u0131m@example.com": "s\u0131m@example.com",  # LATIN SMALL LETTER DOTLESS I
    "\uff53im@example.com": "\uff53im@example.com",  # FULLWIDTH LATIN SMALL LETTER S
    "\u212aim@example.com": None,  # KELVIN SIGN
    "ada@example.com,grace@example.com": None,
    "ada@@example.com": None,
}
EMAILS = st.none() | st.sampled_from(list(ADDRESSES))
PROVIDERS = st.tuples(st.sampled_from(["google", "GitHub"]), st.sampled_from(["1", "01", "1 ", "１"]))
CREDENTIALS = st.sampled_from(["cred-1", "cred-2"])
ROLES = st.sampled_from(["admin", "Admin", "editor"])
ALLOWED = st.sets(st.tuples(st.sampled_from(["posts", "users"]), st.sampled_from(["read", "write"])))


class IdentitiesModel(ModelBase):
    """Who there is, how they sign in, and what they may."""

    @rule(target=ModelBase.users, email=EMAILS, name=st.none() | TEXTS, data=DATA)
    def create_user(self, email: str | None, name: str | None, data: dict[str, Any]) -> Any:
        """In any spelling."""
        canonical = ADDRESSES[email] if email is not None else None
        call = self.store.create_user(email=email, name=name, data=data)
        if email is not None and canonical is None:
            self.refused(call, InvalidEmailError)
        elif self.expected.owner(canonical):
            self.refused(call, EmailTakenError)
        else:
            user = self.do(call)
            self.expected.users[user.id] = ExpectedUser(canonical, name, data=copy.deepcopy(data))
            return user.id
        return multiple()

    @rule(user_id=ModelBase.users, fields=st.fixed_dictionaries({}, optional={
        "email": EMAILS, "name": st.none() | TEXTS, "data": DATA}))  # fmt: skip
    def update_user(self, user_id: str, fields: dict[str, Any]) -> None:
        """What is not named stays."""
        call, address = self.store.update_user(user_id, **fields), fields.get("email")
        canonical = ADDRESSES[address] if address is not None else None
        if address is not None and canonical is None:
            self.refused(call, InvalidEmailError)
        elif user_id not in self.expected.users:
            assert self.do(call) is None
        elif self.expected.owner(canonical) not in (None, user_id):
            self.refused(call, EmailTakenError)
        else:
            updated, expected = self.do(call), self.expected.users[user_id]
            assert updated is not None
            assert updated.updated_at == self.now or not fields
            expected.email = canonical if "email" in fields else expected.email
            expected.name = fields.get("name", expected.name)
            expected.data = copy.deepcopy(fields.get("data", expected.data))

    @rule(user_id=ModelBase.users, account=PROVIDERS, access_token=st.none() | TEXTS)
    def link_account(self, user_id: str, account: tuple[str, str], access_token: str | None) -> None:
        """`None` keeps what was there."""
        call = self.store.link_account(user_id, *account, access_token=access_token)
        owner, old_token = self.expected.accounts.get(account, (user_id, None))
        if user_id not in self.expected.users:
            self.refused(call, UserNotFoundError)
        elif owner != user_id:
            self.refused(call, AccountLinkedError)
        else:
            kept = access_token if access_token is not None else old_token
            assert self.do(call).access_token == kept
            self.expected.accounts[account] = (user_id, kept)

    @rule(account=PROVIDERS)
    def unlink_account(self, account: tuple[str, str]) -> None:
        """Once."""
        assert self.do(self.store.unlink_account(*account)) == (self.expected.accounts.pop(account, None) is not None)

    @rule(
        target=ModelBase.users,
        account=PROVIDERS,
        email=EMAILS,
        vouched=st.booleans(),
        trusted=st.booleans(),
        current=st.none() | ModelBase.users,
    )
    def sign_in(
        self, account: tuple[str, str], email: str | None, vouched: bool, trusted: bool, current: str | None
    ) -> Any:
        """The whole table of decisions."""
        address = ADDRESSES[email] if email is not None else None
        call = self.store.sign_in_with_account(
            provider=account[0], provider_account_id=account[1], email=email, email_verified=vouched,
            trust_email=trusted, current_user_id=current,
        )  # fmt: skip
        owner, token = self.expected.accounts.get(account, (None, None))
        has_address = self.expected.owner(address)
        user_id = owner or current or has_address
        if owner is not None and current not in (None, owner):
            self.refused(call, AccountLinkedError)
        elif user_id is not None and user_id not in self.expected.users:
            self.refused(call, UserNotFoundError)
        elif owner is None and current is None and has_address and not (trusted and vouched):
            self.refused(call, AccountNotLinkedError)
        elif user_id is not None and self.expected.users[user_id].disabled:
            self.refused(call, UserDisabledError)
        else:
            done = self.do(call)
            assert (done.created_user, done.linked_account) == (user_id is None, owner is None)
            assert done.user.id == (user_id or done.user.id)
            if user_id is None:
                is_proved = vouched and address is not None
                self.expected.users[done.user.id] = ExpectedUser(address, None, is_proved)
            elif owner is None and current is None and not self.expected.users[user_id].is_proved:
                self.expected.hand_over(user_id)
            self.expected.accounts[account] = (done.user.id, token)
            return done.user.id
        return multiple()

    @rule(user_id=ModelBase.users, credential=CREDENTIALS, counter=st.integers(0, 3))
    def create_authenticator(self, user_id: str, credential: str, counter: int) -> None:
        """Taken by anyone, it is taken."""
        call = self.store.create_authenticator(user_id, credential, b"key", counter=counter)
        if user_id not in self.expected.users:
            self.refused(call, UserNotFoundError)
        elif credential in self.expected.counters:
            self.refused(call, ConflictError)
        else:
            self.do(call)
            self.expected.counters[credential] = (user_id, counter)

    @rule(credential=CREDENTIALS, counter=st.integers(0, 5))
    def advance_counter(self, credential: str, counter: int) -> None:
        """Upwards, or never counting."""
        call = self.store.update_authenticator_counter(credential, counter)
        user_id, stored = self.expected.counters.get(credential, (None, -1))
        if user_id is None:
            self.refused(call, AuthenticatorNotFoundError)
        elif counter > stored or counter == stored == 0:
            assert self.do(call).counter == counter
            self.expected.counters[credential] = (user_id, counter)
        else:
            self.refused(call, CounterError)

    @rule(credential=CREDENTIALS)
    def delete_authenticator(self, credential: str) -> None:
        """Once."""
        had = self.expected.counters.pop(credential, None) is not None
        assert self.do(self.store.delete_authenticator(credential)) == had

    @rule(name=ROLES, allowed=ALLOWED)
    def create_or_change_role(self, name: str, allowed: set[tuple[str, str]]) -> None:
        """Also to permit nothing."""
        given = [Permission(resource=resource, action=action) for resource, action in allowed]
        if name in self.expected.roles:
            self.refused(self.store.create_role(name), ConflictError)
            assert self.do(self.store.update_role(name, permissions=given)) is not None
        else:
            self.do(self.store.create_role(name, permissions=given))
        self.expected.roles[name] = set(allowed)

    @rule(name=ROLES, new_name=ROLES)
    def rename_role(self, name: str, new_name: str) -> None:
        """Grants follow."""
        call = self.store.update_role(name, new_name=new_name)
        if name not in self.expected.roles:
            assert self.do(call) is None
        elif new_name != name and new_name in self.expected.roles:
            self.refused(call, ConflictError)
        else:
            assert self.do(call) is not None
            self.expected.roles[new_name] = self.expected.roles.pop(name)
            for user in self.expected.users.values():
                user.roles = {new_name if role == name else role for role in user.roles}

    @rule(name=ROLES)
    def delete_role(self, name: str) -> None:
        """With its grants."""
        assert self.do(self.store.delete_role(name)) == self.expected.delete_role(name)

    @rule(user_id=ModelBase.users, name=ROLES)
    def grant_role(self, user_id: str, name: str) -> None:
        """Once."""
        call = self.store.grant_role(user_id, name)
        if user_id not in self.expected.users:
            self.refused(call, UserNotFoundError)
        elif name not in self.expected.roles:
            self.refused(call, RoleNotFoundError)
        else:
            assert self.do(call) == (name not in self.expected.users[user_id].roles)
            self.expected.users[user_id].roles.add(name)

    @rule(user_id=ModelBase.users, name=ROLES)
    def appoint(self, user_id: str, name: str) -> None:
        """To a role that permits something."""
        self.create_or_change_role(name, {("posts", "read"), ("users", "write")})
        self.grant_role(user_id, name)

    @rule(user_id=ModelBase.users, name=ROLES)
    def suspend(self, user_id: str, name: str) -> None:
        """Somebody who has a role that permits something."""
        self.appoint(user_id, name)
        self.disable(user_id, disabled=True)

    @rule(user_id=ModelBase.users, name=ROLES)
    def revoke_role(self, user_id: str, name: str) -> None:
        """Once."""
        had = user_id in self.expected.users and name in self.expected.users[user_id].roles
        assert self.do(self.store.revoke_role(user_id, name)) == had
        if had:
            self.expected.users[user_id].roles.discard(name)

    @invariant()
    def accounts_and_passkeys_are_the_same(self) -> None:
        """Of each user, and by their keys."""
        for user_id in self.expected.users:
            linked = self.do(self.store.list_accounts(user_id))
            mine = {key: token for key, (owner, token) in self.expected.accounts.items() if owner == user_id}
            assert {(a.provider, a.provider_account_id): a.access_token for a in linked} == mine
            passkeys = {p.credential_id: p.counter for p in self.do(self.store.list_authenticators(user_id))}
            counters = {key: count for key, (owner, count) in self.expected.counters.items() if owner == user_id}
            assert passkeys == counters
        for account, (owner, _) in self.expected.accounts.items():
            found = self.do(self.store.get_user_by_account(*account))
            assert found is not None
            assert found.id == owner

    @invariant()
    def roles_are_the_same(self) -> None:
        """And what they permit."""
        roles = {role.name: {(p.resource, p.action) for p in role.permissions} for role in
                 self.do(self.store.list_roles())}  # fmt: skip
        assert roles == self.expected.roles
        assert list(roles) == sorted(roles)
        for user_id, user in self.expected.users.items():
            assert {role.name for role in self.do(self.store.get_roles(user_id))} == user.roles
            granted = {allowed for name in user.roles for allowed in self.expected.roles[name]}
            for resource, action in (("posts", "read"), ("users", "write")):
                may = self.do(self.store.has_permission(user_id, resource, action))
                assert may == ((resource, action) in granted and not user.disabled)
