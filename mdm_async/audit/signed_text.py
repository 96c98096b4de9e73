"""Signed texts: JSON with sorted keys, indented by two, and `signature`, which is over the same JSON without it, after
a line that says what it is and that no seal begins with. In ASCII.
"""

import base64
import json
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mdm_async.audit.keys import Keys, key_id
from mdm_async.errors import WrongContent


def signed(field: str, kind: str, tree: dict[str, Any], private: Ed25519PrivateKey) -> str:
    """The text of `tree`, whose `field` says that it is of this kind, with the key it is signed by."""
    public = private.public_key()
    whole = {
        **tree,
        field: kind,
        "key": key_id(public),
        "publicKey": base64.b64encode(public.public_bytes_raw()).decode(),
    }
    signature = private.sign(_signed(kind, whole))
    return _text({**whole, "signature": base64.b64encode(signature).decode()})


def opened(field: str, kind: str, text: str, keys: Keys | None, called: str) -> tuple[dict[str, Any], str]:
    """What a text says, and the id of the key that signed it, which is one of `keys`. `called`: what it is to people.

    Without `keys` only that it is as it was signed, by whomever. Raises WrongContent.
    """
    try:
        tree = orjson.loads(text)
        exact = _text(tree) == text and tree[field] == kind
        signature = base64.b64decode(tree.pop("signature"), validate=True)
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(tree["publicKey"], validate=True))
        signed_by = key_id(public)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        exact = False
    if not exact:
        raise malformed(called)
    try:
        public.verify(signature, _signed(kind, tree))
    except InvalidSignature:
        raise WrongContent(
            f"the {called} is not as it was signed", remedy="ask for the file as it was written"
        ) from None
    if tree.get("key") != signed_by:
        raise malformed(called)
    if keys is not None and signed_by not in keys:
        raise WrongContent(
            f"the {called} is signed by the key {signed_by}, which is none of those given",
            remedy="give the public keys of the server that is to have signed it: DIR/audit/audit.pub",
        )
    return {name: value for name, value in tree.items() if name not in (field, "key", "publicKey")}, signed_by


def malformed(called: str) -> WrongContent:
    return WrongContent(
        f"this is no {called}, or it has been changed", remedy="ask for the file as it was written"
    )


def _signed(kind: str, tree: dict[str, Any]) -> bytes:
    return kind.encode() + b"\n" + _text(tree).encode()


def _text(tree: dict[str, Any]) -> str:
    return json.dumps(tree, sort_keys=True, indent=2) + "\n"
