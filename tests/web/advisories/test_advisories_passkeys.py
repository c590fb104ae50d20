"""Passkeys: what a script, a copied answer or another system's key could be used for."""

from typing import Any

from tests.web.softkey import SoftKey, encoded


async def post(visitor: Any, path: str, **fields: Any) -> Any:
    return await visitor.post(path, json=fields, headers={"x-csrf-token": await visitor.csrf_token()})


async def register(visitor: Any, key: SoftKey, **more: Any) -> Any:
    options = (await post(visitor, "/auth/passkeys/register/options")).json()
    return await post(visitor, "/auth/passkeys/register", credential={**key.create(options), **more})


async def sign_in(visitor: Any, key: SoftKey, handle: str | None) -> Any:
    options = (await post(visitor, "/auth/passkeys/sign-in/options")).json()
    key.handle = handle
    return await post(visitor, "/auth/passkeys/sign-in", credential=key.get(options))


async def test_a_passkey_is_kept_under_the_id_that_its_authenticator_made(site: Any, visitor: Any) -> None:
    """WebAuthn Level 3 §7.1: the id beside the attestation is the script's word, and could be another person's key."""
    await visitor.sign_in_at(site.pretend)
    chosen = encoded(b"the id of somebody else's passkey")
    assert (await register(visitor, SoftKey(), id=chosen, rawId=chosen)).status_code == 400
    assert await site.store.list_authenticators(await visitor.who()) == []


async def test_a_passkey_made_here_names_the_user_it_was_made_for(site: Any, new_visitor: Any) -> None:
    """WebAuthn Level 3 §7.2 step 6: without a name typed, the user handle must be there and be the owner's."""
    visitor, key = new_visitor(), SoftKey()
    await visitor.sign_in_at(site.pretend)
    assert (await register(visitor, key)).status_code == 201
    own = key.handle
    for handle in (None, "", encoded(b"somebody else")):
        assert (await sign_in(new_visitor(), key, handle)).status_code == 400, handle
    assert (await sign_in(new_visitor(), key, own)).status_code == 200


async def test_a_passkey_that_was_moved_here_signs_in_by_its_former_handle(site: Any, new_visitor: Any) -> None:
    visitor, key = new_visitor(), SoftKey()
    await visitor.sign_in_at(site.pretend)
    await register(visitor, key)
    (made,) = await site.store.list_authenticators(await visitor.who())
    await site.store.delete_authenticator(made.credential_id)
    await site.store.create_authenticator(made.user_id, made.credential_id, made.public_key)
    elsewhere = new_visitor()
    assert (await sign_in(elsewhere, key, encoded(b"random, and kept by no table"))).status_code == 200
    assert await elsewhere.who() == made.user_id
