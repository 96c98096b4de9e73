"""What is kept of the credential that makes a macaroon."""

from typing import Any

import orjson
import pytest

from mdm_async.errors import Forbidden
from mdm_async.identity.authenticator import ADMIN
from mdm_async.identity.makers import Makers
from mdm_async.names import Caller, Credential

ADA = Caller("dn:/CN=Ada", frozenset({"dn:/CN=Ada"}), credential=Credential.PROXY)


async def _none(_: int) -> None:
    return None


def test_a_chain_of_certificates_is_kept_up_to_a_size() -> None:
    issuers: Any = None
    makers = Makers(ADMIN, "secret", _none, issuers, None)
    assert orjson.loads(makers.kept(ADA, None, [bytes(12_000), bytes(12_000)])).keys() == {"chain"}
    with pytest.raises(Forbidden, match="bytes"):
        makers.kept(ADA, None, [bytes(12_000), bytes(13_000)])
