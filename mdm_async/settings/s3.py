"""The section `[s3]`: the engine that keeps blobs where `blobs.url` names a bucket."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from mdm_async.settings.sections import Section, read_secret


class S3Settings(Section):
    """How the bucket of `blobs.url` is reached: by S3's protocol, at Amazon or at whatever else speaks it, as Ceph."""

    endpoint: str | None = Field(
        None, description="URL of the gateway, as https://rgw.example.org; default: Amazon's of the region"
    )
    region: str = Field("us-east-1", pattern=r"^[A-Za-z0-9_-]+$", description="as requests are signed for")
    access_key: str | None = Field(None, min_length=1, description="name of the key that signs requests")
    secret_key_file: Path | None = Field(None, description="file that holds the secret of that key")
    secret_key: SecretStr | None = Field(
        None, description="the secret itself; rather in the environment or a file of its own than here"
    )
    ca_file: Path | None = Field(
        None, description="PEM certificates of the authority of the gateway's, besides the system's"
    )
    request_seconds: float = Field(
        20, ge=1, le=300, description="seconds that one request may take, of 8 MiB at the most"
    )
    retry_seconds: float = Field(
        60,
        ge=0,
        le=240,
        description="seconds for which a request that failed is repeated, so that a gateway can be started again",
    )

    @field_validator("endpoint")
    @classmethod
    def _is_an_origin(cls, given: str | None) -> str | None:
        if given is None:
            return None
        url = urlsplit(given)
        beyond = url.path.strip("/") or url.query or url.fragment or url.username or url.password
        if url.scheme not in ("http", "https") or not url.hostname or beyond:
            raise ValueError("must be http(s)://host[:port] and nothing more")
        return given.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        return read_secret(given, "secret_key")
