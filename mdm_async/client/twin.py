"""The blocking client: the same names, the same methods, without `await`.

with mdm_async.connect("https://mdm.example.org") as mdm:
    for entry in mdm.ls("/vo/study"):
        mdm.get(entry, entry.name)
"""

import io
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from yarl import URL

from mdm_async.client.acls import Acls
from mdm_async.client.archives import Archives
from mdm_async.client.audit import Audit
from mdm_async.client.blocking import Blocking, LoopThread, iterates, waits
from mdm_async.client.cache import Cache
from mdm_async.client.client import Client
from mdm_async.client.cohorts import Cohorts
from mdm_async.client.delivery import Delivery
from mdm_async.client.intake import Intake
from mdm_async.client.keys import Keys
from mdm_async.client.macaroons import Macaroons
from mdm_async.client.mappings import Mappings
from mdm_async.client.metadata import Metadata
from mdm_async.client.mirrors import Mirrors
from mdm_async.client.one_or_many import LocalPath, Name, name_of
from mdm_async.client.profiles import Profiles
from mdm_async.client.recipients import Recipients
from mdm_async.client.remote_file import RemoteFile
from mdm_async.client.replicas import Replicas
from mdm_async.client.shredding import Shredding
from mdm_async.client.ticket import Ticket
from mdm_async.client.tokens import Tokens

READ_AHEAD = 256 * 1024
"""Bytes asked for at once by whoever reads a file bit by bit."""


class BlockingAcls(Blocking[Acls]):
    """`mdm.acl`."""

    get = waits(Acls.get)
    change = waits(Acls.change)


class BlockingArchives(Blocking[Archives]):
    """`mdm.archives`."""

    listing = waits(Archives.listing)
    echo = waits(Archives.echo)
    find = waits(Archives.find)
    count = waits(Archives.count)
    register = iterates(Archives.register)
    files = iterates(Archives.files)
    rejected = iterates(Archives.rejected)
    stage = waits(Archives.stage)
    release = waits(Archives.release)


class BlockingAudit(Blocking[Audit]):
    """`mdm.audit`."""

    last = waits(Audit.last)
    pages = iterates(Audit.pages)
    prune = waits(Audit.prune)


class BlockingCache(Blocking[Cache]):
    """`mdm.cache`."""

    status = waits(Cache.status)
    evict = waits(Cache.evict)
    make_room = iterates(Cache.make_room)


class BlockingCohorts(Blocking[Cohorts]):
    """`mdm.cohorts`."""

    create = waits(Cohorts.create)
    listing = waits(Cohorts.listing)
    show = waits(Cohorts.show)
    members = iterates(Cohorts.members)
    manifest = waits(Cohorts.manifest)
    diff = waits(Cohorts.diff)
    delete = waits(Cohorts.delete)
    get = waits(Cohorts.get)


class BlockingDelivery(Blocking[Delivery]):
    """`mdm.delivery`."""

    get = waits(Delivery.get)
    set = waits(Delivery.set)


class BlockingIntake(Blocking[Intake]):
    """`mdm.intake`."""

    get = waits(Intake.get)
    set = waits(Intake.set)
    get_opaque = waits(Intake.get_opaque)
    set_opaque = waits(Intake.set_opaque)


class BlockingKeys(Blocking[Keys]):
    """`mdm.keys`."""

    status = waits(Keys.status)
    listing = waits(Keys.listing)
    register = waits(Keys.register)
    unregister = waits(Keys.unregister)
    rekey = waits(Keys.rekey)
    shares = waits(Keys.shares)
    unseal = waits(Keys.unseal)
    forget_shares = waits(Keys.forget_shares)
    rotate = waits(Keys.rotate)


class BlockingMacaroons(Blocking[Macaroons]):
    """`mdm.macaroons`."""

    listing = waits(Macaroons.listing)
    revoke = waits(Macaroons.revoke)


class BlockingMappings(Blocking[Mappings]):
    """`mdm.mappings`."""

    set = waits(Mappings.set)
    show = waits(Mappings.show)
    unset = waits(Mappings.unset)


class BlockingMetadata(Blocking[Metadata]):
    """`mdm.meta`."""

    attributes = waits(Metadata.attributes)
    find = iterates(Metadata.find)
    pages = iterates(Metadata.pages)
    get = waits(Metadata.get)
    set = waits(Metadata.set)
    take = waits(Metadata.take)
    schemas = waits(Metadata.schemas)
    create_schema = waits(Metadata.create_schema)
    change_schema = waits(Metadata.change_schema)
    drop_schema = waits(Metadata.drop_schema)
    sequences = waits(Metadata.sequences)
    create_sequence = waits(Metadata.create_sequence)
    next_numbers = waits(Metadata.next_numbers)
    remove_sequence = waits(Metadata.remove_sequence)
    queries = waits(Metadata.queries)
    query = waits(Metadata.query)
    save_query = waits(Metadata.save_query)
    remove_query = waits(Metadata.remove_query)


class BlockingMirrors(Blocking[Mirrors]):
    """`mdm.mirrors`."""

    status = waits(Mirrors.status)
    accept = waits(Mirrors.accept)
    add = waits(Mirrors.add)
    stop = waits(Mirrors.stop)
    promote = waits(Mirrors.promote)


class BlockingProfiles(Blocking[Profiles]):
    """`mdm.profiles`."""

    listing = waits(Profiles.listing)
    show = waits(Profiles.show)
    add = waits(Profiles.add)
    plan = waits(Profiles.plan)
    apply = waits(Profiles.apply)
    progress = waits(Profiles.progress)
    release = waits(Profiles.release)
    report = waits(Profiles.report)
    certificate = waits(Profiles.certificate)
    survivors = iterates(Profiles.survivors)


class BlockingRecipients(Blocking[Recipients]):
    """`mdm.recipients`."""

    listing = waits(Recipients.listing)
    set = waits(Recipients.set)
    remove = waits(Recipients.remove)


class BlockingReplicas(Blocking[Replicas]):
    """`mdm.replicas`."""

    listing = waits(Replicas.listing)
    add = waits(Replicas.add)
    remove = waits(Replicas.remove)
    set_master = waits(Replicas.set_master)


class BlockingShredding(Blocking[Shredding]):
    """`mdm.shredding`."""

    look = waits(Shredding.look)
    shred = waits(Shredding.shred)
    listing = waits(Shredding.listing)
    receipt = waits(Shredding.receipt)


class BlockingTokens(Blocking[Tokens]):
    """`mdm.tokens`."""

    create = waits(Tokens.create)
    listing = waits(Tokens.listing)
    revoke = waits(Tokens.revoke)


class BlockingClient(Blocking[Client]):
    """What `connect` gives: a context manager. Progress is told from its own thread; see `Client` for the rest."""

    def __init__(self, twin: Client, loop: LoopThread) -> None:
        super().__init__(twin, loop)
        self.acl = BlockingAcls(twin.acl, loop)
        self.audit = BlockingAudit(twin.audit, loop)
        self.cache = BlockingCache(twin.cache, loop)
        self.cohorts = BlockingCohorts(twin.cohorts, loop)
        self.delivery = BlockingDelivery(twin.delivery, loop)
        self.archives = BlockingArchives(twin.archives, loop)
        self.intake = BlockingIntake(twin.intake, loop)
        self.keys = BlockingKeys(twin.keys, loop)
        self.macaroons = BlockingMacaroons(twin.macaroons, loop)
        self.mappings = BlockingMappings(twin.mappings, loop)
        self.meta = BlockingMetadata(twin.meta, loop)
        self.profiles = BlockingProfiles(twin.profiles, loop)
        self.recipients = BlockingRecipients(twin.recipients, loop)
        self.mirrors = BlockingMirrors(twin.mirrors, loop)
        self.replicas = BlockingReplicas(twin.replicas, loop)
        self.shredding = BlockingShredding(twin.shredding, loop)
        self.tokens = BlockingTokens(twin.tokens, loop)

    def __enter__(self) -> Self:
        self._loop.run(self._twin.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._loop.run(self._twin.__aexit__(kind, error, trace))
        finally:
            self._loop.stop()

    stat = waits(Client.stat)
    stat_all = waits(Client.stat_all)
    ls = iterates(Client.ls)
    walk = iterates(Client.walk)
    permissions = waits(Client.permissions)
    mkdir = waits(Client.mkdir)
    rmdir = waits(Client.rmdir)
    rm = waits(Client.rm)
    mv = waits(Client.mv)
    link = waits(Client.link)
    look_up = waits(Client.look_up)
    manifest = waits(Client.manifest)
    put = waits(Client.put)
    put_all = waits(Client.put_all)
    prepare = waits(Client.prepare)
    release = waits(Client.release)
    read = waits(Client.read)
    get = waits(Client.get)
    get_all = waits(Client.get_all)
    whoami = waits(Client.whoami)
    fsck = waits(Client.fsck)
    look_into = iterates(Client.look_into)
    known_damage = waits(Client.known_damage)

    def open(
        self,
        path: Name,
        *,
        view: str | None = None,
        sealed: bool | None = None,
        pin: int | None = None,
        prepared: Ticket | None = None,
        cohort: Name | None = None,
    ) -> BinaryIO:
        """A view as a file to read from any place, such as for `pydicom.dcmread`. Close it, or use `with`."""
        file = self._loop.run(
            self._twin.open(path, view=view, sealed=sealed, pin=pin, prepared=prepared, cohort=cohort)
        )
        return cast(BinaryIO, io.BufferedReader(_Raw(file, self._loop, name_of(path)), READ_AHEAD))


class _Raw(io.RawIOBase):
    """An open view as the base of Python's buffered files."""

    def __init__(self, file: RemoteFile, loop: LoopThread, name: str) -> None:
        self._file, self._loop = file, loop
        self.name = f"mdm:{name}"
        """As of any open file; never that of a file of this machine."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer).cast("B") as view:
            content = self._loop.run(self._file.read(len(view)))
            view[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._loop.run(self._file.read())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            super().close()
            if self._loop.is_running:
                self._loop.run(self._file.aclose())


def connect(
    url: str | URL | None = None,
    token: str | None = None,
    *,
    data: LocalPath | None = None,
    ca: LocalPath | None = None,
    connections: int = 64,
) -> BlockingClient:
    """A blocking client; the arguments are those of `Client`."""
    return BlockingClient(Client(url, token, data=data, ca=ca, connections=connections), LoopThread())
