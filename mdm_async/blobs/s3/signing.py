"""Signatures of requests (AWS Signature Version 4), for those that obstore does not know. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

_SIGNED = "host;x-amz-content-sha256;x-amz-date"


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """By one key, for one region."""

    access_key: str
    secret_key: str
    region: str

    def headers(
        self, method: str, host: str, path: str, query: Mapping[str, str], body: bytes, now: datetime
    ) -> dict[str, str]:
        """Those that a request at the moment `now` (UTC) carries; `path` and `query` as they are, not yet quoted."""
        moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        asked = "\n".join(
            (
                method,
                quoted_path(path),
                quoted_query(query),
                f"host:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{moment}\n",
                _SIGNED,
                digest,
            )
        )
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        key = f"AWS4{self.secret_key}".encode()
        for part in (day, self.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return {
            "Host": host,
            "x-amz-content-sha256": digest,
            "x-amz-date": moment,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope},SignedHeaders={_SIGNED},"
            f"Signature={signature}",
        }


def quoted_path(path: str) -> str:
    return quote(path, safe="/-_.~")


def quoted_query(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
