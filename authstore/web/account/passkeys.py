"""What is said of a passkey: who made it, what it calls its user, what it is called."""

from hashlib import sha256
from typing import Final, Protocol

from webauthn.helpers import bytes_to_base64url

from authstore.models import Authenticator, User

AAGUID: Final = "aaguid"  # in the data of a passkey registered here

# Those that most people have, by the id that they tell when a passkey is made (WebAuthn Level 3 §6.5.1).
_MAKERS: Final = {
    "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4": "Google Password Manager",
    "fbfc3007-154e-4ecc-8c0b-6e020557d7bd": "Apple Passwords",
    "dd4ec289-e01d-41c9-bb89-70fa845d4bf2": "iCloud Keychain",
    "adce0002-35bc-c60a-648b-0b25f1f05503": "Chrome on Mac",
    "08987058-cadc-4b81-b6e1-30de50dcbe96": "Windows Hello",
    "9ddd1817-af5a-4672-a2b9-3e3dd95000a9": "Windows Hello",
    "6028b017-b1d4-4c02-b4b3-afcdafc96bb2": "Windows Hello",
    "53414d53-554e-4700-0000-000000000000": "Samsung Pass",
    "bada5566-a7aa-401f-bd96-45619a55120d": "1Password",
    "d548826e-79b4-db40-a3d8-11116f7e8349": "Bitwarden",
    "531126d6-e717-415c-9320-3d9aa6981239": "Dashlane",
    "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": "Keeper",
    "50726f74-6f6e-5061-7373-50726f746f6e": "Proton Pass",
    "fdb141b2-5d84-443e-8a35-4698c205a502": "KeePassXC",
    "b84e4048-15dc-4dd0-8640-f4f60813c8af": "NordPass",
    "f3809540-7f14-49c1-a8b3-8f813b225541": "Enpass",
    "ee882879-721c-4913-9775-3dfcce97072a": "YubiKey 5",
    "fa2b99dc-9e39-4257-8f92-4a30d23c4118": "YubiKey 5 NFC",
    "2fc0579f-8113-47ea-b116-bb5a8db9202a": "YubiKey 5 NFC",
}


class RenamesAuthenticators(Protocol):
    """A store that can give a passkey another name, as those of `authstore.connect` can."""

    async def rename_authenticator(self, credential_id: str, name: str | None) -> Authenticator | None:
        """The passkey under its new name; `None` where there is none."""
        ...


def maker_of(passkey: Authenticator) -> str | None:
    """Whose passkey it is, where that is known."""
    return maker(passkey.data.get(AAGUID))


def maker(aaguid: object) -> str | None:
    """Who makes passkeys with this id."""
    return _MAKERS.get(aaguid) if isinstance(aaguid, str) else None


def user_handle(user: User) -> str:
    """What a passkey remembers of its user: 32 bytes in base64url that tell nothing, whatever the id looks like."""
    return bytes_to_base64url(sha256(b"authstore user handle:" + user.id.encode()).digest())
