"""The WebAuthn ceremonies on py_webauthn: discoverable passkeys with user verification, nothing less."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from authstore.models import Authenticator, User
from authstore.web.account.passkeys import user_handle
from authstore.web.address import Address
from authstore.web.refusals import RefusedError

TRANSPORTS: Final = frozenset(transport.value for transport in AuthenticatorTransport)

HANDLE: Final = "user_handle"  # in the data of a passkey registered here

# What malformed input makes the library and its parsers raise.
_FAULTS: Final = (
    WebAuthnException,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)

_T = TypeVar("_T")
Credential = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ceremonies:
    """For one site: `name` is what authenticators show, `rp_id` the domain that passkeys are made for."""

    address: Address
    name: str
    rp_id: str

    def creation_options(self, user: User, challenge: str, known: Sequence[Authenticator]) -> dict[str, Any]:
        """For `navigator.credentials.create()`; `challenge` base64url."""
        shown = user.email or user.name or user.id
        return options_to_json_dict(
            generate_registration_options(
                rp_id=self.rp_id,
                rp_name=self.name,
                user_id=base64url_to_bytes(user_handle(user)),
                user_name=shown,
                user_display_name=user.name or shown,
                challenge=base64url_to_bytes(challenge),
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
                exclude_credentials=[_descriptor(passkey) for passkey in known],
            )
        )

    def request_options(self, challenge: str) -> dict[str, Any]:
        """For `navigator.credentials.get()`: any passkey of this site, no name asked."""
        return options_to_json_dict(
            generate_authentication_options(
                rp_id=self.rp_id,
                challenge=base64url_to_bytes(challenge),
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        )

    def registered(self, credential: Credential, challenge: str) -> VerifiedRegistration:
        """The new passkey. Raises `RefusedError`."""
        made = _guarded(
            "passkey_add",
            lambda: verify_registration_response(
                credential=dict(credential),
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self.rp_id,
                expected_origin=self.address.origin,
                require_user_verification=True,
            ),
        )
        # The library does not compare the id that the script tells with the one that the authenticator made.
        if bytes_to_base64url(made.credential_id) != credential["id"]:
            raise RefusedError("passkey_add")
        return made

    def authenticated(self, credential: Credential, challenge: str, passkey: Authenticator) -> VerifiedAuthentication:
        """The proof that this passkey was used, its counter still to be judged by the store. Raises `RefusedError`."""
        verified = _guarded(
            "passkey",
            lambda: verify_authentication_response(
                credential=dict(credential),
                expected_challenge=base64url_to_bytes(challenge),
                expected_rp_id=self.rp_id,
                expected_origin=self.address.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,  # the store compares and sets, which two at once need
                require_user_verification=True,
            ),
        )
        # Whether it can be backed up is a fact of the credential (WebAuthn Level 3 §7.2 step 19).
        if passkey.device_type not in (None, verified.credential_device_type.value):
            raise RefusedError("passkey")
        return verified


def challenge_of(credential: Credential, refusal: str) -> str:
    """The challenge an answer was made for, base64url.

    Raises `RefusedError` of this code, also for a page inside another site's.
    """

    def parse() -> str:
        data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        if data.cross_origin:
            raise ValueError("made in a frame of another site")
        return bytes_to_base64url(data.challenge)

    return _guarded(refusal, parse)


def is_handle_known(credential: Credential, passkey: Authenticator) -> bool:
    """Whether it remembers the user it was made for; one that was moved here remembers what another system chose."""
    known, told = passkey.data.get(HANDLE), credential["response"].get("userHandle")
    return known is None or _guarded("passkey", lambda: bytes_to_base64url(base64url_to_bytes(told))) == known


def _descriptor(passkey: Authenticator) -> PublicKeyCredentialDescriptor:
    known = [AuthenticatorTransport(name) for name in passkey.transports if name in TRANSPORTS]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id), transports=known)


def _guarded(refusal: str, work: Callable[[], _T]) -> _T:
    try:
        return work()
    except _FAULTS as error:
        raise RefusedError(refusal) from error
