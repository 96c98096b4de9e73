"""A server does not start on a bucket that it cannot use or that is not its own, and says what to do."""

import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from mdm_async.blobs.s3 import requests
from mdm_async.blobs.s3.store import S3Blobs
from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.premises import reasons_against
from mdm_async.settings import S3Settings, load
from tests.blobs.buckets import Bucket, bucket_of
from tests.blobs.losing_proxy import losing_proxy
from tests.blobs.test_stores import written
from tests.ceph import Ceph
from tests.conftest import running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.fixture
async def bucket(ceph: Ceph) -> AsyncIterator[Bucket]:
    async with bucket_of(ceph) as made_:
        yield made_


async def reasons(bucket: Bucket, **s3: Any) -> str:
    """What `mdm config check` says."""
    settings = load(overrides={"server": {"port": 0, "tls_port": 0}, **bucket.sections(**s3)})
    return "\n".join(await reasons_against(settings))


async def is_refused(
    data: Path, dsn: str, why: str, remedy: str, kind: type[Exception] = UnsafeSettings, **sections: Any
) -> None:
    with pytest.raises(kind, match=why) as refused:
        async with running_server(data, dsn, **sections):
            pass
    assert remedy in str(refused.value)


async def test_a_bucket_that_can_be_used_is_fit(bucket: Bucket) -> None:
    assert await reasons(bucket) == ""
    assert await bucket.objects() == []


async def test_what_the_environment_holds_for_other_programs_is_not_used(
    bucket: Bucket, ceph: Ceph, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SESSION_TOKEN", "SKIP_SIGNATURE", "ENDPOINT_URL_S3"):
        monkeypatch.setenv(f"AWS_{name}", "true")
    with ThreadPoolExecutor(1) as pool:
        async with S3Blobs.connect(bucket.url, S3Settings(**ceph.settings), pool) as store:
            assert await store.size(await written(store, b"signed")) == 6


async def test_what_is_wrong_is_said_with_the_remedy(bucket: Bucket, ceph: Ceph) -> None:
    assert "not known there" in (said := await reasons(bucket, access_key="nobody"))
    assert "correct s3.access_key" in said
    assert "correct s3.secret_key_file" in await reasons(bucket, secret_key="wrong")
    assert "start its gateway" in await reasons(bucket, endpoint="http://127.0.0.1:9", retry_seconds=0)
    await ceph.user("stranger", "stranger's secret")
    assert "lacks a right" in await reasons(bucket, access_key="stranger", secret_key="stranger's secret")
    bucket.url = "s3://there-is-none/blobs"
    assert "does not exist; make it" in await reasons(bucket)


async def test_a_gateway_of_an_authority_of_the_sites_own(bucket: Bucket, ceph: Ceph, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with losing_proxy(ceph.port, context) as proxy:
        at = {"endpoint": proxy.url.replace("http://127.0.0.1", "https://localhost"), "retry_seconds": 1}
        assert "cannot be reached" in await reasons(bucket, **at)
        settings = S3Settings(**ceph.settings | at | {"ca_file": tmp_path / "ca.pem"})
        with ThreadPoolExecutor(1) as pool:
            async with S3Blobs.connect(bucket.url, settings, pool) as store:
                assert await store.size(await written(store, b"sealed")) == 6
    (tmp_path / "ca.pem").write_text("nothing")
    assert "s3.ca_file" in await reasons(bucket, ca_file=tmp_path / "ca.pem")


async def test_clocks_apart(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_now", lambda: datetime.now(UTC) - timedelta(hours=2))
    assert "set the clocks" in await reasons(bucket)


async def test_a_key_that_may_only_read(bucket: Bucket, ceph: Ceph) -> None:
    await ceph.user("reader", "reader's secret")
    policy = (
        b'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": '
        b'["arn:aws:iam:::user/reader"]}, "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::%b", '
        b'"arn:aws:s3:::%b/*"]}]}'
    ) % (bucket.name.encode(), bucket.name.encode())
    await bucket.do("PUT", "", {"policy": ""}, policy)
    said = await reasons(bucket, access_key="reader", secret_key="reader's secret")
    assert "let it list, read, write and delete" in said


async def test_the_bucket_of_another_installation(
    bucket: Bucket, postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn, sections = await postgres.fresh_database(migrated), bucket.sections()
    async with running_server(tmp_path / "one", dsn, **sections) as server:
        await server.put("/a.dcm", made(pixels=300_000, seed=7300))
    other = await postgres.fresh_database()
    await is_refused(tmp_path / "two", other, "another mdm installation", "a prefix, in a bucket", **sections)
    bucket.url += "/second"
    await is_refused(tmp_path / "one", dsn, "no id file", "name its bucket", **bucket.sections())
    async with running_server(tmp_path / "two", other, **bucket.sections()):
        pass
    away = bucket.sections(endpoint="http://127.0.0.1:9", retry_seconds=0)
    await is_refused(tmp_path / "two", other, "cannot be reached", "start its gateway", Unavailable, **away)


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    key = {"access_key": "k", "secret_key": "s"}
    for sections, why in (
        ({"blobs": {"url": "s3://bucket"}}, "without the key of its bucket"),
        ({"blobs": {"url": "s3://k:secret@bucket"}, "s3": key}, "no key in it"),
        ({"blobs": {"url": "https://bucket"}, "s3": key}, "must be s3://BUCKET/PREFIX"),
        ({"blobs": {"url": "s3://bucket/../x"}, "s3": key}, "must be s3://BUCKET/PREFIX"),
        ({"blobs": {"url": "s3://bucket"}, "s3": key, "paths": {"blobs": tmp_path}}, "both set"),
        ({"blobs": {"url": "s3://bucket"}, "s3": key, "transfers": {"max_upload": 76 << 30}}, "max_upload"),
        ({"s3": key | {"endpoint": "https://k:s@gateway"}}, "nothing more"),
    ):
        with pytest.raises(UnsafeSettings, match=why) as refused:
            load(overrides=sections)
        assert "secret@" not in str(refused.value)
    settings = load(overrides={"blobs": {"url": "s3://bucket/a/b/"}, "s3": key})
    assert settings.blobs.url == "s3://bucket/a/b"
