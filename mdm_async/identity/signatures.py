"""Is this signed with that key? The algorithms that authorities of the grid still use; SHA-1 is not among them."""

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

_RSA = {
    bytes.fromhex("300d06092a864886f70d01010b0500"): hashes.SHA256(),
    bytes.fromhex("300d06092a864886f70d01010c0500"): hashes.SHA384(),
    bytes.fromhex("300d06092a864886f70d01010d0500"): hashes.SHA512(),
}
_ECDSA = {
    bytes.fromhex("300a06082a8648ce3d040302"): hashes.SHA256(),
    bytes.fromhex("300a06082a8648ce3d040303"): hashes.SHA384(),
    bytes.fromhex("300a06082a8648ce3d040304"): hashes.SHA512(),
}
_ED25519 = bytes.fromhex("300506032b6570")
_RSA_BITS = range(2048, 8193)
"""Longer ones take long to verify."""


def is_signed(content: bytes, algorithm: bytes, signature: bytes, public_key: bytes) -> bool:
    """`algorithm` and `public_key` are DER: AlgorithmIdentifier and SubjectPublicKeyInfo."""
    try:
        key = load_der_public_key(public_key)
        if isinstance(key, rsa.RSAPublicKey) and algorithm in _RSA and key.key_size in _RSA_BITS:
            key.verify(signature, content, padding.PKCS1v15(), _RSA[algorithm])
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm in _ECDSA:
            key.verify(signature, content, ec.ECDSA(_ECDSA[algorithm]))
        elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _ED25519:
            key.verify(signature, content)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
