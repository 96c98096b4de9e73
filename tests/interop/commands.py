"""The commands of the grid's and the web's own clients, as the table shows them and tests run them."""

import re
from dataclasses import replace
from urllib.parse import quote

from tests.interop.rig import HOME
from tests.interop.trial import Trial
from tests.web.made_images import made

IMAGE = made(pixels=100_000)
ODD = "a b+c%41é.dcm"
"""A name with a space, a plus sign, a percent sign and a letter beyond ASCII."""


def _same(trial: Trial, name: str, served: bytes) -> bool:
    path = trial.local(name)
    return path.exists() and path.read_bytes() == served


async def reads(trial: Trial) -> None:
    """What gfal2 does to what is there: `seed.dcm`."""
    server, file, surl = trial.tools.server, trial.url("seed.dcm"), f"{trial.place}/seed.dcm"
    served = await server.read(f"/@{trial.view}{surl}" if trial.view else surl)
    got = trial.local("got.dcm")
    await trial.run("gfal-ls DIR", "gfal-ls", trial.url(), says="^seed.dcm")
    await trial.run("gfal-ls -l FILE", "gfal-ls", "-l", file, says=rf"\b{len(served)}\b.*seed.dcm")
    await trial.run("gfal-stat FILE", "gfal-stat", file, says=rf"Size: {len(served)}\b.*regular file")
    await trial.run("gfal-stat DIR", "gfal-stat", trial.url(), says="directory")
    await trial.run("gfal-stat MISSING", "gfal-stat", trial.url("gone"), says="No such file", code=2)
    await trial.run(
        "gfal-copy FILE local",
        "gfal-copy", "-f", file, f"file://{got}",
        holds=lambda _: _same(trial, "got.dcm", served),
    )  # fmt: skip
    await trial.run(
        "gfal-copy -K ADLER32 FILE local",
        "gfal-copy", "-f", "-K", "ADLER32", file, f"file://{got}",
        holds=lambda _: _same(trial, "got.dcm", served),
    )  # fmt: skip
    await trial.run(
        "gfal-cat -b FILE", "gfal-cat", "-b", *_turls(trial), file, holds=lambda ran: len(ran.out) > 1000
    )
    await trial.run("gfal-sum FILE ADLER32", "gfal-sum", file, "ADLER32", says=r" [0-9a-f]{8}$")
    await trial.run("gfal-sum FILE MD5", "gfal-sum", file, "MD5", says=r" [0-9a-f]{32}$")
    await trial.run("gfal-xattr FILE", "gfal-xattr", *_turls(trial), file, says="=")
    await trial.run("gfal-xattr FILE user.status", "gfal-xattr", file, "user.status", says="^ONLINE")
    await trial.run(
        "gfal-bringonline FILE", "gfal-bringonline", "--polling-timeout", "20", file, says="READY|ONLINE"
    )
    await trial.run("gfal-archivepoll FILE", "gfal-archivepoll", file, says="QUEUED|READY|not supported")
    await trial.run("gfal-evict FILE", "gfal-evict", file)


def _turls(trial: Trial) -> list[str]:
    return ["-D", "SRM PLUGIN:TURL_PROTOCOLS=https"] if trial.protocol == "srm" else []


async def writes(trial: Trial) -> None:
    """What gfal2 does to change what is there."""
    image = trial.local("image.dcm")
    image.write_bytes(IMAGE)
    source, there = f"file://{image}", trial.tools.server
    await trial.run("gfal-mkdir -p DIR/x/y", "gfal-mkdir", "-p", trial.url("x/y"))
    await trial.run("gfal-mkdir EXISTING", "gfal-mkdir", trial.url("x"), says="exists", code=17)
    await trial.run("gfal-copy local FILE", "gfal-copy", source, trial.url("new.dcm"))
    await trial.run(
        "gfal-copy local EXISTING", "gfal-copy", source, trial.url("new.dcm"), says="exists", code=17
    )
    await trial.run("gfal-copy -f local FILE", "gfal-copy", "-f", source, trial.url("new.dcm"))
    await trial.run("gfal-copy -p local DIR/p/q/FILE", "gfal-copy", "-p", source, trial.url("p/q/new.dcm"))
    await trial.run(
        "gfal-copy -K ADLER32 local FILE", "gfal-copy", "-K", "ADLER32", source, trial.url("summed.dcm")
    )
    tree = trial.local("tree")
    await trial.run(
        "gfal-copy -r DIR local",
        "gfal-copy", "-r", trial.url("p"), f"file://{tree}",
        holds=lambda _: (tree / "q" / "new.dcm").exists(),
    )  # fmt: skip
    await trial.run("gfal-rename FILE NEW", "gfal-rename", trial.url("new.dcm"), trial.url("newer.dcm"))
    # gfal2 knows no way to say it in WebDAV.
    no_chmod = {"code": 93, "says": "not supported"} if trial.protocol == "davs" else {}
    await trial.run("gfal-chmod 0640 FILE", "gfal-chmod", "0640", trial.url("newer.dcm"), **no_chmod)
    # gfal2 percent-decodes both before it sends anything.
    odd = trial.url(ODD.replace("%", "%25") if trial.protocol == "srm" else quote(ODD))
    await trial.run("gfal-copy local ODD-NAME", "gfal-copy", source, odd)
    await trial.run("gfal-stat ODD-NAME", "gfal-stat", odd, says="regular file")
    await trial.run("gfal-copy ODD-NAME local", "gfal-copy", "-f", odd, f"file://{trial.local('odd.dcm')}")
    listed = await there.srm("ls", surls=[trial.place])
    # davix tells names as URLs have them.
    shown = ODD if trial.protocol == "srm" else quote(ODD, safe="+")
    names = [child["path"].rpartition("/")[2] for child in listed["files"][0].get("subPaths", [])]
    await trial.run(
        "gfal-ls shows ODD-NAME", "gfal-ls", trial.url(), holds=lambda ran: ODD in names and shown in ran.out
    )
    await trial.run("gfal-rm FILE", "gfal-rm", trial.url("newer.dcm"), says="DELETED")
    await trial.run("gfal-rm MISSING", "gfal-rm", trial.url("newer.dcm"), says="MISSING", code=2)
    await trial.run("gfal-rm -r DIR", "gfal-rm", "-r", trial.url("x"), says="RMDIR")


async def web_reads(trial: Trial) -> None:
    """What davix, curl and rclone do to what is there."""
    server, surl = trial.tools.server, f"{trial.place}/seed.dcm"
    served = await server.read(f"/@{trial.view}{surl}" if trial.view else surl)
    file, got = trial.url("seed.dcm"), trial.local("davix.dcm")
    davix, curl = _davix(trial), _curl(trial)
    await trial.run("davix-ls DIR", "davix-ls", *davix, trial.url(), says="^seed.dcm")
    await trial.run(
        "davix-ls -l DIR", "davix-ls", *davix, "-l", trial.url(), says=rf"\b{len(served)}\b.*seed.dcm"
    )
    await trial.run(
        "davix-get FILE local",
        "davix-get",
        *davix,
        file,
        str(got),
        holds=lambda _: _same(trial, "davix.dcm", served),
    )
    web = trial.https("seed.dcm")
    await trial.run("curl -I", "curl", *curl, "-I", web, says=rf"(?i)content-length: {len(served)}\b")
    await trial.run("curl -r 0-3", "curl", *curl, "-r", "128-131", web, holds=lambda ran: ran.out == "DICM")
    await trial.run(
        "curl Want-Digest",
        "curl",
        *curl,
        "-I",
        "-H",
        "Want-Digest: adler32",
        web,
        says=r"(?i)digest: adler32=[0-9a-f]{8}\b",
    )
    await trial.run(
        "curl -X OPTIONS", "curl", *curl, "-i", "-X", "OPTIONS", web, says="(?i)allow: .*PROPFIND"
    )
    await trial.run(
        "curl -X PROPFIND",
        "curl",
        *curl,
        "-X",
        "PROPFIND",
        "-H",
        "Depth: 1",
        trial.https(),
        says="multistatus",
    )
    rclone = _rclone(trial)
    await trial.run("rclone lsf", "rclone", *rclone, "lsf", ":webdav:", says="^seed.dcm")
    await trial.run(
        "rclone copyto FILE local",
        "rclone", *rclone, "copyto", ":webdav:seed.dcm", str(trial.local("rclone.dcm")),
        holds=lambda _: _same(trial, "rclone.dcm", served),
    )  # fmt: skip


async def web_writes(trial: Trial) -> None:
    image = trial.local("image.dcm")
    image.write_bytes(IMAGE)
    davix, curl, rclone = _davix(trial), _curl(trial), _rclone(trial)
    await trial.run("davix-mkdir DIR", "davix-mkdir", *davix, trial.url("dx"))
    await trial.run("davix-put local FILE", "davix-put", *davix, str(image), trial.url("dx/a.dcm"))
    # davix 0.8.4 moves, says nothing, and exits 255.
    await trial.run(
        "davix-mv FILE NEW", "davix-mv", *davix, trial.url("dx/a.dcm"), trial.url("dx/b.dcm"), code=255
    )
    await trial.run("davix-rm FILE", "davix-rm", *davix, trial.url("dx/b.dcm"))
    web = trial.https("curl.dcm")
    await trial.run("curl -T", "curl", *curl, "-f", "-T", str(image), web)
    await trial.run("curl -X DELETE", "curl", *curl, "-f", "-X", "DELETE", web)
    await trial.run("rclone copyto local FILE", "rclone", *rclone, "copyto", str(image), ":webdav:rclone.dcm")
    await trial.run("rclone moveto", "rclone", *rclone, "moveto", ":webdav:rclone.dcm", ":webdav:rclone2.dcm")
    await trial.run("rclone deletefile", "rclone", *rclone, "deletefile", ":webdav:rclone2.dcm")
    await trial.run("rclone mkdir", "rclone", *rclone, "mkdir", ":webdav:rc")
    await trial.run("rclone purge", "rclone", *rclone, "purge", ":webdav:rc")


async def tokens(trial: Trial) -> None:
    """A macaroon, and what it is good for without a proxy."""
    ran = await trial.run(
        "gfal-token DIR LIST DOWNLOAD", "gfal-token", trial.url(), "LIST", "DOWNLOAD", says=r"^\S{60,}$"
    )
    with_token = {"BEARER_TOKEN": ran.out.strip() if ran is not None else "", "X509_USER_PROXY": ""}
    file = trial.url("seed.dcm")
    await trial.run("gfal-ls DIR, by that token", "gfal-ls", trial.url(), says="^seed.dcm", **with_token)
    await trial.run(
        "gfal-sum FILE, by that token", "gfal-sum", file, "ADLER32", says="[0-9a-f]{8}$", **with_token
    )
    await trial.run(
        "gfal-rm FILE, by that token",
        "gfal-rm",
        file,
        says="403",
        code=1,
        **with_token,
    )


async def copies(trial: Trial) -> None:
    """Between two servers: by COPY each asks the other one for what is to come, or sends it there; transfer URLs take
    no COPY, and gfal2 passes the bytes on itself."""
    assert trial.other is not None
    host = f"localhost:{trial.other.house.tls_port}"
    if trial.protocol == "srm":
        target = f"srm://{host}/srm/managerv2?SFN={HOME}/streamed.dcm"
        await trial.run(
            "gfal-copy FILE other-server", "gfal-copy", *_turls(trial), trial.url("seed.dcm"), target
        )
        return
    with_token = ["-D", "HTTP PLUGIN:RETRIEVE_BEARER_TOKEN=true"]
    for mode in ("pull", "push"):
        label = f"gfal-copy --copy-mode {mode} FILE other-server"
        options = ["--copy-mode", mode, *with_token]
        target = f"davs://{host}/dav{HOME}/{mode}.dcm"
        await trial.run(label, "gfal-copy", "-v", *options, trial.url("seed.dcm"), target)
        listed = await trial.other.srm("ls", surls=[f"{HOME}/{mode}.dcm"], expect=None)
        if listed["returnStatus"]["statusCode"] != "SRM_SUCCESS":
            trial.cells[label] = replace(trial.cells[label], ok=False)


async def suites(trial: Trial) -> None:
    """What shows no credential: litmus and cadaver, where anybody may do everything, and files may be opaque."""
    for suite in ("basic", "copymove", "props", "http", "locks"):
        await trial.run(
            f"litmus {suite}",
            "litmus", f"{trial.tools.server.url}/dav{trial.place}/",
            says="100.0%", holds=lambda ran: re.search("FAIL|WARNING|SKIP", ran.said) is None, TESTS=suite,
        )  # fmt: skip
    image = trial.local("image.dcm")
    image.write_bytes(IMAGE)
    script = (
        f"mkcol c\ncd c\nput {image} a.dcm\nls\npropget a.dcm\nmove a.dcm b.dcm\ncopy b.dcm d.dcm\n"
        f"lock b.dcm\nunlock b.dcm\nget b.dcm {trial.local('cadaver.dcm')}\ndelete b.dcm\ncd ..\nrmcol c\nquit\n"
    )
    await trial.run(
        "cadaver: mkcol put ls propget move copy lock unlock get delete rmcol",
        "cadaver", f"{trial.tools.server.url}/dav{trial.place}/",
        stdin=script.encode(),
        holds=lambda ran: "failed" not in ran.said and trial.local("cadaver.dcm").exists(),
    )  # fmt: skip


def _davix(trial: Trial) -> list[str]:
    return ["--capath", str(trial.tools.grid.authorities), "-E", str(trial.tools.proxy)]


def _curl(trial: Trial) -> list[str]:
    return ["-sS", "--capath", str(trial.tools.grid.authorities), "--cert", str(trial.tools.proxy)]


def _rclone(trial: Trial) -> list[str]:
    authority = trial.tools.home / "authority.pem"
    if not authority.exists():
        authority.write_bytes(
            b"".join(path.read_bytes() for path in trial.tools.grid.authorities.glob("*.0"))
        )
    proxy = str(trial.tools.proxy)
    return [
        "--config", "", "--retries", "1", "--low-level-retries", "1", "--ca-cert", str(authority),
        "--client-cert", proxy, "--client-key", proxy, "--webdav-url", trial.https(),
    ]  # fmt: skip
