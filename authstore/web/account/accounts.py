"""What its owner calls an account at a provider: the address or name that they have there, rather than its id."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from authstore.adapter import Accounts
from authstore.models import Account
from authstore.web.identity import Identity
from authstore.web.wording import worded

_CALLED: Final = "called"  # in the data of an account whose provider signs no ID token
_MAX_CALLED: Final = 254


async def keep_name(store: Accounts, account: Account, identity: Identity) -> None:
    """Notes what the account is called, where no ID token that is kept with it says so, and it was not noted before."""
    called = _first((identity.email, identity.name))
    if account.id_token is None and called is not None and account.data.get(_CALLED) != called:
        named = account.provider, account.provider_account_id
        data = {**account.data, _CALLED: called}
        await store.link_account(account.user_id, *named, type=account.type, data=data)


def name_of(account: Account) -> str | None:
    """What the account is called, where that is known."""
    claims = _claims(account)
    return _first((claims.get("email"), claims.get("name"), account.data.get(_CALLED)))


def _claims(account: Account) -> Mapping[str, Any]:
    """Those of the ID token that was kept with the account; its provider's signature was checked when it came."""
    try:
        claims = json.loads(base64.urlsafe_b64decode((account.id_token or "").split(".")[1] + "=="))
    except (IndexError, RecursionError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _first(told: tuple[object, ...]) -> str | None:
    return next((text for each in told if (text := worded(each, _MAX_CALLED)) is not None), None)
