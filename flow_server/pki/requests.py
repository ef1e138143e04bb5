"""What a site asks to have signed: its checks, before anything is signed.

The request comes from whoever reaches the server, so it is small, its key is one that we know
to be strong, and it proves that the asker holds that key.
"""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from flow_contract.errors import InvalidArgument

MAX_REQUEST_BYTES = 16 * 1024
MIN_RSA_BITS = 2048
# Larger ones are no safer in practice, and checking their signatures costs the server.
MAX_RSA_BITS = 4096

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_FIELD = "certificate_request_pem"
_CURVES = (ec.SECP256R1, ec.SECP384R1)


@dataclass(frozen=True, kw_only=True)
class SigningRequest:
    """A request that passed. `key_hash` is SHA-256 of the public key's DER form, in hex."""

    public_key: PublicKey
    key_hash: str


def read_request(pem: bytes) -> SigningRequest:
    """Return what may be signed.

    Raises:
        InvalidArgument: too large, not a request, a key that is too weak or of another kind, or
            a signature that isn't this key's.
    """
    if len(pem) > MAX_REQUEST_BYTES:
        raise _bad(f"{len(pem)} bytes are more than {MAX_REQUEST_BYTES}")
    try:
        request = x509.load_pem_x509_csr(pem)
        public_key = _accepted(request.public_key())
        is_signed = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _bad("not a PKCS #10 request in PEM that this server can read") from None
    if not is_signed:
        raise _bad("its signature is not by the key that it names")
    return SigningRequest(public_key=public_key, key_hash=key_hash(public_key))


def key_hash(public_key: PublicKey) -> str:
    """Return SHA-256 of the key's DER form, in hex."""
    der = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _accepted(key: object) -> PublicKey:
    match key:
        case ec.EllipticCurvePublicKey() if isinstance(key.curve, _CURVES):
            return key
        case rsa.RSAPublicKey() if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return key
        case ed25519.Ed25519PublicKey():
            return key
    raise _bad(
        f"its key must be EC P-256 or P-384, Ed25519, or RSA of {MIN_RSA_BITS} to "
        f"{MAX_RSA_BITS} bits"
    )


def _bad(what: str) -> InvalidArgument:
    return InvalidArgument(f"{_FIELD}: {what}", field=_FIELD)
