"""Private keys of the application's, as it was given them."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, OKPKey, RSAKey

PrivateKey = RSAKey | ECKey | OKPKey

_ON_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


def signing_key(pem: str) -> tuple[PrivateKey, str]:
    """The private key and the algorithm it signs with. Raises `ValueError` for what is none."""
    data = pem.encode()
    match load_pem_private_key(data, password=None):
        case rsa.RSAPrivateKey():
            return RSAKey.import_key(data), "RS256"
        case ec.EllipticCurvePrivateKey(curve=curve) if curve.name in _ON_CURVES:
            return ECKey.import_key(data), _ON_CURVES[curve.name]
        case ed25519.Ed25519PrivateKey():
            return OKPKey.import_key(data), "EdDSA"
    raise ValueError("a private key that signs no client assertions: take RSA, P-256, P-384, P-521 or Ed25519")
