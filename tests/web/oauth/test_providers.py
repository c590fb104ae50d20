"""The presets and the generic providers, each spoken to in this process."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from authstore import AccountNotFoundError, ConfigurationError
from authstore.testing.web import Lies, OpenIDProvider, Person
from authstore.web import (
    Identity,
    ProviderError,
    apple,
    auth0,
    cognito,
    discord,
    facebook,
    github,
    gitlab,
    google,
    keycloak,
    linkedin,
    microsoft,
    oidc,
    okta,
    slack,
    spotify,
    twitch,
    twitter,
)
from authstore.web.oauth.provider import checked_providers
from tests.web.oauth.plain_provider import PlainProvider, arrive, plain

TENANT = "11111111-2222-3333-4444-555555555555"


GITHUB_EMAILS = [
    {"email": "other@example.com", "primary": False, "verified": True},
    {"email": "ada@example.com", "primary": True, "verified": True},
]


async def test_github_gives_id_name_and_primary_address(make_world: Any) -> None:
    told = {
        "id": 583231,
        "login": "ada",
        "name": None,
        "avatar_url": "https://a.example/1",
        "email": "public@example.com",
    }
    provider = PlainProvider(user=told, user_emails=GITHUB_EMAILS)
    world = await make_world(providers=[github("id", "secret", transport=provider.transport)])
    browser = world.new_browser()
    assert (await arrive(world, browser, "github")).status_code == 303
    user = await world.store.get_user_by_account("github", "583231")
    assert (user.email, user.name, user.image) == ("ada@example.com", "ada", "https://a.example/1")
    assert user.email_verified is not None
    assert set(provider.authorizations) == {"Bearer the-access-token"}
    assert (await world.store.get_account("github", "583231")).type == "oauth"


@pytest.mark.parametrize("verified", [False, "true", 1, None])
async def test_github_addresses_count_as_verified_only_when_github_says_so(make_world: Any, verified: Any) -> None:
    emails = [{"email": "ada@example.com", "primary": True, "verified": verified}]
    provider = PlainProvider(user={"id": 1, "login": "ada"}, user_emails=emails)
    world = await make_world(providers=[github("id", "secret", transport=provider.transport)])
    await arrive(world, world.new_browser(), "github")
    assert (await world.store.get_user_by_email("ada@example.com")).email_verified is None


async def test_discord_gives_id_name_address_and_picture(make_world: Any) -> None:
    told = {
        "id": "80351110224678912",
        "username": "ada",
        "global_name": "Ada",
        "avatar": "8342729096ea3675442027381ff50dfe",
    }
    provider = PlainProvider(api_users_me={**told, "email": "ada@example.com", "verified": True})
    world = await make_world(providers=[discord("id", "secret", transport=provider.transport)])
    await arrive(world, world.new_browser(), "discord")
    user = await world.store.get_user_by_account("discord", "80351110224678912")
    assert (user.name, user.email) == ("Ada", "ada@example.com")
    assert user.image == "https://cdn.discordapp.com/avatars/80351110224678912/8342729096ea3675442027381ff50dfe.png"


@pytest.mark.parametrize("number", [None, "", True, 1.5, [], "x" * 256, "a\nb"])
async def test_without_a_usable_account_id_nobody_is_signed_in(make_world: Any, number: Any) -> None:
    provider = PlainProvider(me={"id": number, "email": "ada@example.com"})
    world = await make_world(providers=[plain(provider)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502
    assert await world.store.list_users() == []


@pytest.mark.parametrize("answer", [None, [], "text", 7])
async def test_user_info_that_is_no_object_is_refused(make_world: Any, answer: Any) -> None:
    world = await make_world(providers=[plain(PlainProvider(me=answer))])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502


async def test_an_application_reads_any_answer_by_a_function_of_its_own(make_world: Any) -> None:
    async def identify(told: Any, fetch: Any) -> Identity:
        return Identity(id=told["uid"], name=(await fetch("https://plain.example/more"))["title"])

    provider = PlainProvider(me={"uid": "7"}, more={"title": "Countess"})
    world = await make_world(providers=[plain(provider, identify=identify)])
    browser = world.new_browser()
    assert (await arrive(world, browser, "plain")).status_code == 303
    assert (await world.store.get_user_by_account("plain", "7")).name == "Countess"


IDENTITIES = {
    "an id that is a number": (Identity(id=77), None),  # type: ignore[arg-type] # as a provider may tell it
    "an id that is blank": (Identity(id=" "), None),
    "no identity": ({"id": "7"}, None),
    "nothing": (None, None),
    "a name that plays tricks": (Identity(id="7", name="Ada\u202egnp"), (None, None, None)),
    "a name of two lines": (
        Identity(id="7", name="Ada\nLovelace", email="ada@example.com"),
        (None, "ada@example.com", None),
    ),
    "an address with NUL": (Identity(id="7", name=" Ada ", email="a\0@example.com"), ("Ada", None, None)),
    "a picture that runs": (Identity(id="7", image="javascript:alert(1)"), (None, None, None)),
    "what is no text": (Identity(id="7", name=7, email=7, image=7), (None, None, None)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("told", "kept"), IDENTITIES.values(), ids=IDENTITIES.keys())
async def test_what_such_a_function_makes_is_judged_as_any_answer(make_world: Any, told: Any, kept: Any) -> None:
    async def identify(_told: Any, _fetch: Any) -> Identity:
        return told  # type: ignore[no-any-return] # what an application's own may do

    world = await make_world(providers=[plain(PlainProvider(me={}), identify=identify)])
    browser = world.new_browser()
    answer = await arrive(world, browser, "plain")
    assert answer.status_code == (502 if kept is None else 303)
    if kept is not None:
        user = await world.store.get_user(await browser.who())
        assert (user.name, user.email, user.image) == kept


async def test_an_issuer_in_the_answer_of_a_plain_provider_must_be_its_own(make_world: Any) -> None:
    world = await make_world(providers=[plain(PlainProvider(me={"id": 1}), issuer="https://plain.example")])
    browser = world.new_browser()
    for issuer, status in (("https://evil.example", 400), ("https://plain.example", 303)):
        asked = parse_qs(urlsplit((await browser.get("/auth/login/plain")).headers["location"]).query)
        back = {"state": asked["state"][0], "code": "c", "iss": issuer}
        assert (await browser.get("/auth/callback/plain", params=back)).status_code == status


def entra(lies: Lies | None = None, issuer: str = "https://login.microsoftonline.com/common/v2.0") -> OpenIDProvider:
    person = Person("sub-1", "ada@contoso.example")
    provider = OpenIDProvider(issuer, people=(person,), clock=lambda: datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
    template = "https://login.microsoftonline.com/{tenantid}/v2.0"
    claims = {"iss": template.replace("{tenantid}", TENANT), "tid": TENANT}
    truth = Lies(metadata={"issuer": template, "authorization_response_iss_parameter_supported": None}, claims=claims)
    provider.lies = lies or truth
    return provider


async def signed_in_at_entra(make_world: Any, provider: OpenIDProvider, **more: Any) -> tuple[Any, Any]:
    preset = microsoft("client", "client-secret", transport=provider.transport, **more)
    world = await make_world(providers=[preset], trust_email_of=["microsoft"])
    browser = world.new_browser()
    departure = (await browser.get("/auth/login/microsoft")).headers["location"]
    back = (await provider.approve(departure)).split("&iss=")[0]
    return world, await browser.get(back)


async def test_microsofts_shared_endpoint_takes_the_issuer_of_each_tenant(make_world: Any) -> None:
    world, answer = await signed_in_at_entra(make_world, entra())
    assert answer.status_code == 303
    user = await world.store.get_user_by_account("microsoft", "sub-1")
    assert user.email_verified is None, "a tenant's administrator writes what he likes there"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "tid": TENANT[::-1]},
        {"iss": "https://evil.example/v2.0", "tid": TENANT},
        {"iss": "https://login.microsoftonline.com/{tenantid}/v2.0", "tid": "{tenantid}"},
        {"iss": "https://login.microsoftonline.com/../evil/v2.0", "tid": "../evil"},
        {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0", "tid": None},
    ],
    ids=str,
)
async def test_microsofts_shared_endpoint_takes_no_other_issuer(make_world: Any, claims: dict[str, Any]) -> None:
    provider = entra()
    provider.lies = Lies(metadata=provider.lies.metadata, claims=claims)
    _, answer = await signed_in_at_entra(make_world, provider)
    assert answer.status_code == 502


async def test_one_tenant_of_microsoft_is_only_that_one(make_world: Any) -> None:
    issuer = f"https://login.microsoftonline.com/{TENANT}/v2.0"
    provider = entra(Lies(metadata={"authorization_response_iss_parameter_supported": None}), issuer)
    _, answer = await signed_in_at_entra(make_world, provider, tenant=TENANT)
    assert answer.status_code == 303
    with pytest.raises(ConfigurationError, match="tenant"):
        microsoft("id", "secret", tenant="contoso.example")


def test_the_presets_stand_where_their_providers_do() -> None:
    assert google("i", "s").issuer == "https://accounts.google.com"
    assert apple("i", "s").issuer == "https://appleid.apple.com"
    assert apple("i", "s").posts_back
    assert gitlab("i", "s").issuer == "https://gitlab.com"
    assert gitlab("i", "s", base_url="https://git.example/").issuer == "https://git.example"
    assert microsoft("i", "s", tenant="consumers").issuer.endswith("/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0")


ISSUERS = {
    "https://acme.okta.com": okta("i", "s", domain="acme.okta.com"),
    "https://acme.okta.com/oauth2/default": okta("i", "s", domain="acme.okta.com", server="default"),
    "https://acme.eu.auth0.com": auth0("i", "s", domain="acme.eu.auth0.com"),
    "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC": cognito(
        "i", "s", region="eu-central-1", user_pool="eu-central-1_AbC"
    ),
    "https://id.example/auth/realms/staff": keycloak("i", "s", base_url="https://id.example/auth/", realm="staff"),
    "https://slack.com": slack("i", "s"),
    "https://id.twitch.tv/oauth2": twitch("i", "s"),
}


@pytest.mark.parametrize(("issuer", "provider"), ISSUERS.items(), ids=ISSUERS.keys())
def test_a_preset_with_a_place_of_its_own_stands_there(issuer: str, provider: Any) -> None:
    assert (provider.issuer, provider.discovery_url) == (issuer, f"{issuer}/.well-known/openid-configuration")
    assert provider.vouches is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: okta("i", "s", domain="https://acme.okta.com"),
        lambda: auth0("i", "s", domain="acme.auth0.com/x"),
        lambda: okta("i", "s", domain="acme.okta.com", server="a/../b"),
        lambda: cognito("i", "s", region="evil.example/", user_pool="p"),
        lambda: keycloak("i", "s", base_url="http://id.example", realm="staff"),
        lambda: keycloak("i", "s", base_url="https://id.example", realm="a/b"),
        lambda: keycloak("i", "s", base_url="https://id.example#top", realm="staff"),
        lambda: github("i", "s", base_url="https://git.corp.example?x"),
        lambda: gitlab("i", "s", base_url="https://git.corp.example/?x=1"),
    ],
)
def test_a_place_that_is_none_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_two_of_one_preset_are_told_apart_by_name() -> None:
    house = "https://git.corp.example"
    with pytest.raises(ConfigurationError, match="name="):
        checked_providers([github("i", "s"), github("i", "s", base_url=house)], [])
    both = [github("i", "s"), github("i", "s", base_url=house, name="house")]
    assert checked_providers(both, []) == both


def test_only_who_verifies_every_address_itself_is_believed() -> None:
    presets = [google, github, gitlab, apple, discord, microsoft, slack, linkedin, facebook, twitter, spotify, twitch]
    assert {preset.__name__ for preset in presets if preset("i", "s").vouches} == {
        "google",
        "github",
        "gitlab",
        "apple",
        "discord",
    }
    assert not gitlab("i", "s", base_url="https://git.example").vouches
    assert not github("i", "s", base_url="https://git.example").vouches


def test_two_of_one_kind_have_names_of_their_own() -> None:
    made = keycloak("i", "s", base_url="https://id.example", realm="a", name="staff", label="Staff")
    assert (made.name, made.label, made.icon) == ("staff", "Staff", "keycloak")


async def test_a_github_enterprise_is_asked_where_it_stands(make_world: Any) -> None:
    provider = PlainProvider(api_v3_user={"id": 5, "login": "ada"}, api_v3_user_emails=GITHUB_EMAILS)
    made = github("id", "secret", base_url="https://git.corp.example/", transport=provider.transport)
    assert made.authorize_url == "https://git.corp.example/login/oauth/authorize"
    world = await make_world(providers=[made])
    assert (await arrive(world, world.new_browser(), "github")).status_code == 303
    user = await world.store.get_user_by_account("github", "5")
    assert (user.email, user.email_verified) == ("ada@example.com", None)
    assert github("i", "s", base_url="https://acme.ghe.com").userinfo_url == "https://api.acme.ghe.com/user"


PLAIN = {
    "linkedin": (
        linkedin,
        {"v2_userinfo": {"sub": "7", "name": "Ada", "picture": "https://l.example/a", "email": "ada@example.com"}},
        ("7", "Ada", "https://l.example/a", "ada@example.com"),
    ),
    "facebook": (
        facebook,
        {
            "v23.0_me": {
                "id": "7",
                "name": "Ada",
                "email": "ada@example.com",
                "picture": {"data": {"url": "https://f.example/a"}},
            }
        },
        ("7", "Ada", "https://f.example/a", "ada@example.com"),
    ),
    "twitter": (
        twitter,
        {"2_users_me": {"data": {"id": "7", "name": "Ada", "profile_image_url": "https://x.example/a"}}},
        ("7", "Ada", "https://x.example/a", None),
    ),
    "spotify": (
        spotify,
        {
            "v1_me": {
                "id": "7",
                "display_name": "Ada",
                "email": "ada@example.com",
                "images": [{"url": "https://s.example/a"}],
            }
        },
        ("7", "Ada", "https://s.example/a", "ada@example.com"),
    ),
}


@pytest.mark.parametrize(("preset", "answers", "told"), PLAIN.values(), ids=PLAIN.keys())
async def test_a_preset_reads_its_providers_answer(make_world: Any, preset: Any, answers: Any, told: Any) -> None:
    provider = PlainProvider(**answers)
    made = preset("id", "secret", transport=provider.transport)
    world = await make_world(providers=[made])
    assert (await arrive(world, world.new_browser(), made.name)).status_code == 303
    user = await world.store.get_user_by_account(made.name, told[0])
    assert (told[0], user.name, user.image, user.email) == told
    assert user.email_verified is None


@pytest.mark.parametrize("preset", [preset for preset, _, _ in PLAIN.values()])
@pytest.mark.parametrize("nothing", [{}, {"data": None, "images": None, "picture": []}, {"images": [7], "data": []}])
async def test_an_answer_with_nothing_in_it_signs_nobody_in(make_world: Any, preset: Any, nothing: Any) -> None:
    provider = PlainProvider()
    provider.answers = defaultdict(lambda: nothing)
    made = preset("id", "secret", transport=provider.transport)
    world = await make_world(providers=[made])
    assert (await arrive(world, world.new_browser(), made.name)).status_code == 502


def test_a_secret_is_not_in_the_repr() -> None:
    assert "the-secret" not in repr(github("id", "the-secret"))


@pytest.mark.parametrize(
    ("name", "url", "scope"),
    [
        ("Bad Name", "https://id.example/.well-known/openid-configuration", "openid"),
        ("../x", "https://id.example/.well-known/openid-configuration", "openid"),
        ("x", "http://id.example/.well-known/openid-configuration", "openid"),
        ("x", "https://id.example/metadata", "openid"),
        ("x", "https://id.example/.well-known/openid-configuration", "email"),
    ],
)
def test_a_provider_that_cannot_work_is_refused_at_once(name: str, url: str, scope: str) -> None:
    with pytest.raises(ConfigurationError):
        oidc(name, "id", "secret", url, scope=scope)


def test_on_this_machine_a_provider_may_be_on_http() -> None:
    assert oidc("dev", "id", None, "http://127.0.0.1:9/.well-known/openid-configuration").client_secret is None


async def test_a_provider_that_takes_the_secret_in_the_form_gets_it_there(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]})
    await world.sign_in(browser)
    token_request = next(seen for seen in world.pretend.seen if seen.endpoint == "token")
    assert token_request.params["client_secret"] == "client-secret"


# Access tokens that are used later


async def test_a_token_that_is_still_good_is_not_refreshed(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    before = await world.store.get_account("pretend", "ada-1")
    assert (await world.auth.fresh_account("pretend", "ada-1")).access_token == before.access_token


async def test_a_token_that_ran_out_is_refreshed_by_one_of_many(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    before = await world.store.get_account("pretend", "ada-1")
    world.clock.advance(timedelta(minutes=59, seconds=1))
    accounts = await asyncio.gather(*(world.auth.fresh_account("pretend", "ada-1") for _ in range(8)))
    assert len({account.access_token for account in accounts}) == 1
    assert accounts[0].access_token != before.access_token
    assert accounts[0].expires_at == world.clock.now + timedelta(hours=1)
    assert accounts[0].refresh_token != before.refresh_token
    refreshes = [seen for seen in world.pretend.seen if seen.params.get("grant_type") == "refresh_token"]
    assert len(refreshes) == 1


async def test_a_refresh_the_provider_refuses_is_told_to_the_application(world: Any, browser: Any) -> None:
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    world.pretend.lies = Lies(status=400, body=b'{"error": "invalid_grant"}')
    with pytest.raises(ProviderError, match="pretend"):
        await world.auth.fresh_account("pretend", "ada-1")


@pytest.mark.parametrize("token", ["a\0b", "\ud800", "a\nb"])
async def test_a_token_that_is_no_printable_text_is_the_providers_fault(world: Any, browser: Any, token: str) -> None:
    await world.sign_in(browser)
    world.clock.advance(timedelta(hours=1))
    answer = {"access_token": "fresh", "token_type": "Bearer", "refresh_token": token}
    world.pretend.lies = Lies(body=json.dumps(answer).encode())
    with pytest.raises(ProviderError, match="refresh_token"):
        await world.auth.fresh_account("pretend", "ada-1")


async def test_accounts_that_are_not_there_are_told_apart(world: Any) -> None:
    with pytest.raises(AccountNotFoundError):
        await world.auth.fresh_account("pretend", "nobody")
    with pytest.raises(ConfigurationError):
        await world.auth.fresh_account("unknown", "1")


@pytest.mark.parametrize("preset", [apple, discord, github, gitlab, google, microsoft])
@pytest.mark.parametrize("missing", [("", "secret"), (None, "secret"), ("id", ""), ("id", None)], ids=str)
def test_a_setting_that_is_missing_is_noticed_at_once(preset: Any, missing: Any) -> None:
    """`github(os.environ.get("ID"), os.environ.get("SECRET"))` must not quietly make a public client."""
    with pytest.raises(ConfigurationError, match=preset.__name__):
        preset(*missing)


HALF_SET: dict[str, Callable[[], object]] = {
    "no domain": lambda: okta("id", "secret", domain=None),
    "no base URL": lambda: github("id", "secret", base_url=None),
    "no realm": lambda: keycloak("id", "secret", base_url="https://id.example", realm=None),
    "no tenant": lambda: microsoft("id", "secret", tenant=None),
    "no discovery URL": lambda: oidc("corp", "id", "secret", None),
    "a client id that is a number": lambda: google(7, "secret"),
    "a secret that is a number": lambda: google("id", 7),
    "parameters in a list": lambda: google("id", "secret", authorize_params=["prompt"]),
}


@pytest.mark.parametrize("make", HALF_SET.values(), ids=HALF_SET.keys())
def test_a_setting_that_is_missing_or_of_another_kind_is_named(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize("transport", ["https://proxy.example", 7])
def test_what_carries_no_requests_is_refused_at_once(transport: Any) -> None:
    with pytest.raises(ConfigurationError, match="transport"):
        google("id", "secret", transport=transport)
