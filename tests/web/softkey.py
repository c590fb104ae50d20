"""A passkey in software: makes and uses credentials as an authenticator does (WebAuthn Level 3 §6)."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")


@dataclass
class SoftKey:
    """One credential. Its attributes are what a liar would change."""

    origin: str = "https://app.example"
    rp_id: str = "app.example"
    flags: int = UP | UV
    counter: int = 0
    cross_origin: bool = False
    handle: str | None = None
    aaguid: str = "00000000-0000-0000-0000-000000000000"
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answers creation options."""
        self.handle = options["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = UUID(self.aaguid).bytes + len(self.credential_id).to_bytes(2, "big") + self.credential_id + public
        data = self._authenticator_data(AT) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"attestationObject": encoded(attestation), "transports": ["internal", "hybrid", "x"]}
        return self._credential("webauthn.create", options["challenge"], response)

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answers request options."""
        data = self._authenticator_data(0)
        credential = self._credential("webauthn.get", options["challenge"], {"authenticatorData": encoded(data)})
        signed = data + hashlib.sha256(decoded(credential["response"]["clientDataJSON"])).digest()
        credential["response"]["signature"] = encoded(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        if self.handle is not None:
            credential["response"]["userHandle"] = self.handle
        return credential

    def _authenticator_data(self, more: int) -> bytes:
        return (
            hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags | more]) + self.counter.to_bytes(4, "big")
        )

    def _credential(self, kind: str, challenge: str, response: dict[str, Any]) -> dict[str, Any]:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin}
        number = encoded(self.credential_id)
        response = {"clientDataJSON": encoded(json.dumps(told).encode()), **response}
        return {"id": number, "rawId": number, "type": "public-key", "response": response}
