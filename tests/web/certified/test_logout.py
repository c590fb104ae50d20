"""Signing out here ends the session at the provider where that is wanted, and signing out there ends those here."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.web.certified.visitor import AFTER, Form


async def sessions_alive(world: Any, login: str = "ada") -> int:
    user = await world.store.get_user_by_account("corp", login)
    return len(await world.store.list_sessions(user.id))


async def is_asked_who_they_are(visitor: Any) -> bool:
    """Whether the provider has forgotten who sits at this browser."""
    page = await visitor.open("/auth/login/corp?next=/after")
    form = Form.of(page)
    return form is not None and "login" in form.fields


async def test_signing_out_here_leaves_the_session_at_the_provider_alone(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    page = await world.visitor.post_form("/auth/logout", next="/after")
    assert str(page.url) == AFTER
    assert await world.visitor.who() is None
    assert not await is_asked_who_they_are(world.visitor)


async def test_signing_out_everywhere_ends_the_session_at_the_provider_and_comes_back(make_world: Any) -> None:
    world = await make_world({"post_logout_redirect_uris": [AFTER]})
    await world.visitor.sign_in()
    asked = await world.visitor.post_form("/auth/logout", everywhere="1", next="/after")
    assert urlsplit(str(asked.url)).path == "/session/end"
    assert await world.visitor.who() is None, "signed out here, whatever is answered there"
    page = await world.visitor.submit(Form.of(asked))
    assert str(page.url) == AFTER
    assert await is_asked_who_they_are(world.visitor)


async def test_the_provider_is_told_whose_session_by_the_id_token_or_else_for_which_client(make_world: Any) -> None:
    world = await make_world({"post_logout_redirect_uris": [AFTER]})
    told = []
    for forgets in (False, True):
        await world.visitor.sign_in()
        if forgets:
            await world.store.unlink_account("corp", "ada")
        await world.visitor.post_form("/auth/logout", everywhere="1", next="/after", stop_before="/session/end")
        told.append(parse_qs(urlsplit(world.visitor.trail[-1]).query))
    assert told[0].keys() == {"id_token_hint", "post_logout_redirect_uri"}
    assert told[1] == {"client_id": ["client"], "post_logout_redirect_uri": [AFTER]}


async def test_scripts_are_told_where_to_go_on(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    token = (await world.visitor.get("/auth/csrf", headers={"accept": "application/json"})).json()["csrf_token"]
    headers = {"accept": "application/json", "x-csrf-token": token}
    answer = (await world.visitor.post("/auth/logout", json={"everywhere": "1"}, headers=headers)).json()
    assert answer["signed_out"] is True
    assert answer["next"].startswith(f"{world.provider.issuer}/session/end?")


async def test_a_provider_that_is_away_keeps_nobody_signed_in_here(make_world: Any) -> None:
    world = await make_world()
    await world.visitor.sign_in()
    world.auth._clients["corp"]._metadata._known = None
    world.provider.go_away()
    try:
        page = await world.visitor.post_form("/auth/logout", everywhere="1", next="/after")
    finally:
        world.provider.come_back()
    assert str(page.url) == AFTER
    assert await world.visitor.who() is None


async def test_a_session_that_came_by_no_provider_ends_here(make_world: Any) -> None:
    world = await make_world()
    user = await world.store.create_user(email="grace@example.com")
    session = await world.store.create_session(user.id)
    name, value = world.auth.cookie_for(session)
    world.visitor.cookies.set(name, value, domain="app.example")
    page = await world.visitor.post_form("/auth/logout", everywhere="1", next="/after")
    assert str(page.url) == AFTER
    assert await world.visitor.who() is None
