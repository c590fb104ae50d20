"""The in-process OpenID provider: honest and strict by default, and able to lie."""

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from authstore.testing.web import FORGERIES, Lies, OpenIDProvider, Person

VERIFIER = "v" * 43
CALLBACK = "https://app.example/callback"


def client_of(provider: OpenIDProvider, secret: str = "client-secret") -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        "client",
        secret,
        scope="openid email profile",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        transport=provider.transport,
    )


async def answer_of(provider: OpenIDProvider, client: AsyncOAuth2Client, **params: str) -> dict[str, str]:
    url, _ = client.create_authorization_url(
        f"{provider.issuer}/authorize", code_verifier=VERIFIER, nonce="n-1", **params
    )
    sent_to = urlsplit(await provider.approve(url))
    assert f"{sent_to.scheme}://{sent_to.netloc}{sent_to.path}" == CALLBACK
    return {name: value[0] for name, value in parse_qs(sent_to.query, keep_blank_values=True).items()}


async def tokens_of(provider: OpenIDProvider, client: AsyncOAuth2Client, verifier: str = VERIFIER) -> dict[str, str]:
    answer = await answer_of(provider, client)
    tokens: dict[str, str] = await client.fetch_token(
        f"{provider.issuer}/token", code=answer["code"], code_verifier=verifier
    )
    return tokens


async def claims_of(provider: OpenIDProvider, id_token: str) -> dict[str, object]:
    async with httpx2.AsyncClient(transport=provider.transport) as http:
        metadata = (await http.get(provider.discovery_url)).json()
        keys = KeySet.import_key_set((await http.get(metadata["jwks_uri"])).json())
    return jwt.decode(id_token, keys, registry=JWSRegistry(algorithms=["RS256"])).claims


@pytest.mark.parametrize("issuer", ["https://id.example", "https://login.example/tenant/v2.0"])
async def test_an_honest_provider_says_who_somebody_is(issuer: str) -> None:
    provider = OpenIDProvider(issuer)
    async with client_of(provider) as client:
        tokens = await tokens_of(provider, client)
        claims = await claims_of(provider, tokens["id_token"])
        userinfo = (await client.get(f"{issuer}/userinfo")).json()
    assert claims["iss"] == issuer
    assert (claims["aud"], claims["nonce"], claims["sub"]) == ("client", "n-1", "ada-1")
    assert userinfo == {"sub": "ada-1", "email": "ada@example.com", "email_verified": True, "name": "Ada Lovelace"}


async def test_the_answer_names_the_issuer_and_returns_the_state() -> None:
    provider = OpenIDProvider()
    async with client_of(provider) as client:
        answer = await answer_of(provider, client, state="s-1")
    assert (answer["state"], answer["iss"]) == ("s-1", provider.issuer)


async def test_a_code_works_once() -> None:
    provider = OpenIDProvider()
    async with client_of(provider) as client:
        answer = await answer_of(provider, client)
        token_url = f"{provider.issuer}/token"
        await client.fetch_token(token_url, code=answer["code"], code_verifier=VERIFIER)
        with pytest.raises(Exception, match="invalid_grant"):
            await client.fetch_token(token_url, code=answer["code"], code_verifier=VERIFIER)


async def test_a_wrong_verifier_gets_no_token_unless_the_provider_ignores_pkce() -> None:
    provider = OpenIDProvider()
    async with client_of(provider) as client:
        with pytest.raises(Exception, match="invalid_grant"):
            await tokens_of(provider, client, verifier="w" * 43)
        provider.lies = Lies(ignore_pkce=True)
        assert await tokens_of(provider, client, verifier="w" * 43)


async def test_a_wrong_secret_gets_no_token() -> None:
    provider = OpenIDProvider()
    async with client_of(provider, secret="guessed") as client:
        with pytest.raises(Exception, match="invalid_client"):
            await tokens_of(provider, client)


async def test_a_refresh_token_is_exchanged_once() -> None:
    provider = OpenIDProvider()
    async with client_of(provider) as client:
        tokens = await tokens_of(provider, client)
        token_url = f"{provider.issuer}/token"
        fresh = await client.refresh_token(token_url, refresh_token=tokens["refresh_token"])
        assert fresh["access_token"] != tokens["access_token"]
        with pytest.raises(Exception, match="invalid_grant"):
            await client.refresh_token(token_url, refresh_token=tokens["refresh_token"])


async def test_nobody_is_sent_to_an_address_the_client_did_not_register() -> None:
    provider = OpenIDProvider(redirect_uris=("https://other.example/callback",))
    async with client_of(provider) as client:
        with pytest.raises(ValueError, match="redirect URI"):
            await answer_of(provider, client)


@pytest.mark.parametrize("signature", ["none", "stranger", "public-key-as-secret"])
async def test_a_forged_signature_does_not_verify(signature: str) -> None:
    provider = OpenIDProvider()
    provider.lies = next(lie for lie in FORGERIES.values() if lie.signature == signature)
    async with client_of(provider) as client:
        tokens = await tokens_of(provider, client)
    with pytest.raises((JoseError, ValueError)):
        await claims_of(provider, tokens["id_token"])


async def test_a_human_chooses_who_to_be() -> None:
    provider = OpenIDProvider(people=(Person("ada-1", name="Ada"), Person("bob-1", name="<Bob>")), ask=True)
    params = {"client_id": "client", "redirect_uri": CALLBACK, "response_type": "code", "state": "s"}
    pkce = {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
    async with httpx2.AsyncClient(transport=provider.transport, base_url=provider.issuer) as browser:
        page = await browser.get("/authorize", params=params | pkce)
        chosen = await browser.post("/authorize", data={**params, **pkce, "person": "bob-1"})
    assert "&lt;Bob&gt;" in page.text
    assert chosen.headers["location"].startswith(CALLBACK)


async def test_an_answer_can_come_as_a_form() -> None:
    provider = OpenIDProvider()
    params = {"client_id": "client", "redirect_uri": CALLBACK, "response_type": "code", "response_mode": "form_post"}
    async with httpx2.AsyncClient(transport=provider.transport, base_url=provider.issuer) as browser:
        page = await browser.get("/authorize", params=params | {"code_challenge": "c", "code_challenge_method": "S256"})
    assert f'action="{CALLBACK}"' in page.text
    assert 'name="code"' in page.text
