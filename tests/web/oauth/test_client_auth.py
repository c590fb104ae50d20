"""How we authenticate to a token endpoint: as the client was registered."""

import warnings
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

from authstore import ConfigurationError
from authstore.testing.web import Lies
from authstore.web import google, oidc
from tests.web.oauth.plain_provider import PlainProvider, arrive, plain

ODD = "a+b%2B c/ö=:"


def pem(key: Any) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


async def token_request(make_world: Any, **options: Any) -> tuple[str | None, dict[str, str]]:
    provider = PlainProvider(me={"id": 7})
    world = await make_world(providers=[plain(provider, **options)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 303
    return provider.token_requests[0]


async def test_a_secret_is_form_encoded_under_basic(make_world: Any) -> None:
    header, form = await token_request(make_world, client_secret=ODD)
    assert header is not None
    encoded = "id:a%2Bb%252B+c%2F%C3%B6%3D%3A"
    assert b64decode(header.removeprefix("Basic ")).decode() == encoded
    assert "client_secret" not in form


async def test_a_secret_goes_in_the_form_where_it_is_registered_so(make_world: Any) -> None:
    header, form = await token_request(make_world, client_secret=ODD, token_endpoint_auth_method="client_secret_post")
    assert (header, form["client_id"], form["client_secret"]) == (None, "id", ODD)


async def test_a_public_client_sends_its_id_alone(make_world: Any) -> None:
    header, form = await token_request(make_world, client_secret=None, token_endpoint_auth_method="none")
    assert (header, form["client_id"], "client_secret" in form) == (None, "id", False)


@pytest.mark.parametrize("secret", ["plain-secret_1.~", ODD, "a b", "ü"])
async def test_of_two_ways_offered_an_odd_secret_takes_the_one_that_all_servers_read_alike(
    make_world: Any, secret: str
) -> None:
    world = await make_world()
    at = world.pretend
    at.client_secret = secret
    made = oidc("odd", at.client_id, secret, at.discovery_url, transport=at.transport)
    world = await make_world(store=world.store, providers=[made])
    browser = world.new_browser()
    departure = await browser.get("/auth/login/odd")
    assert (await browser.get(await at.approve(departure.headers["location"]))).status_code == 303
    request = next(seen for seen in at.seen if seen.endpoint == "token")
    assert ("client_secret" in request.params) is (secret != "plain-secret_1.~")


async def test_basic_is_said_where_only_that_is_registered(make_world: Any) -> None:
    world = await make_world()
    at = world.pretend
    at.client_secret = ODD
    made = oidc(
        "odd",
        at.client_id,
        ODD,
        at.discovery_url,
        token_endpoint_auth_method="client_secret_basic",
        transport=at.transport,
    )
    world = await make_world(store=world.store, providers=[made])
    browser = world.new_browser()
    departure = await browser.get("/auth/login/odd")
    assert (await browser.get(await at.approve(departure.headers["location"]))).status_code == 303


KEYS = {
    "RS256": (rsa.generate_private_key(65537, 2048), RSAKey),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECKey),
    "ES384": (ec.generate_private_key(ec.SECP384R1()), ECKey),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPKey),
}


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_private_key_says_the_algorithm_of_its_assertion(make_world: Any, algorithm: str) -> None:
    key, kind = KEYS[algorithm]
    header, form = await token_request(make_world, client_secret=pem(key), token_endpoint_auth_method="private_key_jwt")
    assert header is None
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):  # ours says nothing
        signed = jwt.decode(form["client_assertion"], kind.import_key(pem(key)), algorithms=[algorithm])
    assert (signed.claims["iss"], signed.claims["sub"], signed.claims["aud"]) == (
        "id",
        "id",
        "https://plain.example/token",
    )
    assert {"jti", "exp", "iat"} <= signed.claims.keys()


def sync_secret() -> str:
    return "made-anew"


async def async_secret() -> str:
    return "made-anew"


@pytest.mark.parametrize("secret", [sync_secret, async_secret])
async def test_a_secret_may_be_made_anew_each_time(make_world: Any, secret: Any) -> None:
    header, _ = await token_request(make_world, client_secret=secret)
    assert header == "Basic " + b64encode(b"id:made-anew").decode()


@pytest.mark.parametrize("made", [None, "", 7])
async def test_a_secret_that_was_not_made_signs_nobody_in(make_world: Any, made: Any) -> None:
    provider = PlainProvider(me={"id": 7})
    world = await make_world(providers=[plain(provider, client_secret=lambda: made)])
    assert (await arrive(world, world.new_browser(), "plain")).status_code == 502
    assert provider.token_requests == []


@pytest.mark.parametrize(
    ("secret", "method"),
    [
        ("s", "client_secret_jwt"),
        ("s", "none"),
        (None, "client_secret_post"),
        (None, "private_key_jwt"),
        ("no key at all", "private_key_jwt"),
    ],
)
def test_what_was_registered_is_noticed_at_once_where_it_cannot_be(secret: Any, method: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"token_endpoint_auth_method|private key"):
        plain(PlainProvider(), client_secret=secret, token_endpoint_auth_method=method)


async def test_a_provider_that_takes_neither_way_we_know_is_asked_in_the_form(world: Any, browser: Any) -> None:
    world.pretend.lies = Lies(metadata={"token_endpoint_auth_methods_supported": ["client_secret_post"]})
    await world.sign_in(browser)
    request = next(seen for seen in world.pretend.seen if seen.endpoint == "token")
    assert request.params["client_secret"] == "client-secret"


def test_presets_take_it_too() -> None:
    made = google("id", sync_secret, token_endpoint_auth_method="client_secret_post")
    assert made.token_endpoint_auth_method == "client_secret_post"
