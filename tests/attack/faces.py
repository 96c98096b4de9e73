"""What can be tried through each face: of every operation of SRM and every route at least one attack.

`tests/attack/test_reach.py` fails where one of them has none, so whoever adds one says here how it is attacked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import orjson
from pymacaroons import Macaroon

from tests.attack.arena import RECIPIENT, Aim
from tests.attack.principals import Principal
from tests.conftest import Reply, Server
from tests.web.soap import envelopes

Body = Callable[[Aim], Any]


@dataclass(frozen=True)
class Attack:
    """One request, made of what it aims at."""

    what: str
    method: str
    path: Callable[[Aim], str]
    body: Body | None = None
    told: bool = False
    """Answered with success whatever it is asked about; only what is told counts."""
    judged: bool = True
    """A right is looked at, so that a refusal must be in the audit; False: it asks for what is the caller's own."""
    headers: dict[str, str] = field(default_factory=dict)
    soap: Callable[[Aim], bytes] | None = None
    """The envelope, instead of a body in JSON. What is refused is told in it, with HTTP 200."""

    async def by(self, principal: Principal, server: Server, aim: Aim) -> Reply:
        options: dict[str, Any] = {"headers": self.headers} if self.headers else {}
        if self.body is not None:
            options["json"] = self.body(aim)
        if self.soap is not None:
            options |= {"data": self.soap(aim), "headers": envelopes.HEADERS}
        return await principal.call(server, self.method, self.path(aim), **options)

    @property
    def is_public(self) -> bool:
        """No credential is asked for besides what the URL holds."""
        return "/t/" in self.what or "/metrics" in self.what

    def __str__(self) -> str:
        return self.what


def _srm(operation: str, body: Body, *, variant: str = "", told: bool = False, judged: bool = True) -> Attack:
    what = f"{operation} {variant}".strip()
    return Attack(what, "POST", lambda aim: f"/srm/v2/{operation}", body, told, judged)


def _of_request(operation: str, of: str, **more: Any) -> list[Attack]:
    def body(also: dict[str, Any]) -> Body:
        return lambda aim: {"requestToken": aim.requests[of], **also}

    return [
        _srm(operation, body(also), judged=False, variant=f"{of} {variant}".strip())
        for variant, also in (("", more), ("some", {**more, "surls": ["/seen/absent.dcm"]}))
    ]


def _copied(source: Callable[[Aim], str], target: Callable[[Aim], str]) -> Body:
    return lambda aim: {
        "files": [{"sourceSURL": source(aim), "targetSURL": target(aim)}],
        "overwrite": True,
    }


def _guid(aim: Aim) -> str:
    return f"guid:{aim.guid}"


def _identified(lfn: str) -> str:
    return f"/@identified{lfn}"


def _rules(rights: str) -> dict[str, Any]:
    return {"permissionType": "ADD", "rules": [{"principal": "any:authenticated", "rights": rights}]}


def _named(operation: str, **more: Any) -> list[Attack]:
    """An operation on SURLs in every form that a SURL can have."""
    forms: dict[str, Callable[[Aim], str]] = {
        "": lambda aim: aim.file,
        "directory": lambda aim: aim.directory,
        "identified": lambda aim: _identified(aim.file),
        "srm": lambda aim: f"srm://host:8443/srm/managerv2?SFN={aim.file}",
        "guid": _guid,
        "below": lambda aim: f"{aim.directory}/deeper/still",
        "below a file": lambda aim: f"{aim.file}/deeper",
    }

    def body(form: Callable[[Aim], str]) -> Body:
        return lambda aim: {"surls": [form(aim)], **more}

    also = " ".join(f"{name}={value}" for name, value in more.items() if name != "rules")
    return [
        _srm(operation, body(form), variant=f"{variant} {also}".strip()) for variant, form in forms.items()
    ]


def _own(found: list[Attack]) -> list[Attack]:
    return [replace(one, judged=False) for one in found]


def _files(operation: str, **more: Any) -> list[Attack]:
    def body(attack: Attack) -> Body:
        assert attack.body is not None
        inner = attack.body
        return lambda aim: {"files": [{"surl": surl} for surl in inner(aim)["surls"]], **more}

    return [
        Attack(
            f"{attack.what} {' '.join(more)} {more.get('view', '')}".strip(),
            attack.method,
            attack.path,
            body(attack),
            # A put that names a view is wrong whatever it is about.
            judged=(operation, attack.what) != ("prepareToPut", "prepareToPut identified"),
        )
        for attack in _named(operation)
    ]


SRM: dict[str, list[Attack]] = {
    "ping": [],
    "getTransferProtocols": [],
    "getSpaceTokens": [_srm("getSpaceTokens", lambda aim: {}, told=True, judged=False)],
    "getSpaceMetaData": [
        _srm("getSpaceMetaData", lambda aim: {"spaceTokens": ["images"]}, told=True, judged=False)
    ],
    "ls": [
        *_named("ls"),
        *_named("ls", fullDetailedList=True),
        _srm("ls", lambda aim: {"surls": [aim.directory], "offset": 1, "count": 1}, variant="paged"),
    ],
    "mkdir": [
        _srm("mkdir", lambda aim: {"surl": aim.directory}),
        _srm("mkdir", lambda aim: {"surl": f"{aim.directory}/new"}, variant="in it"),
        _srm("mkdir", lambda aim: {"surl": f"{aim.directory}/new/newer", "parents": True}, variant="parents"),
    ],
    "rmdir": [
        _srm("rmdir", lambda aim: {"surl": aim.directory}),
        _srm("rmdir", lambda aim: {"surl": aim.directory, "recursive": True}, variant="recursive"),
        _srm("rmdir", lambda aim: {"surl": aim.file}, variant="of a file"),
        _srm("rmdir", lambda aim: {"surl": _guid(aim), "recursive": True}, variant="by guid"),
    ],
    "rm": _named("rm"),
    "mv": [
        _srm("mv", lambda aim: {"fromSURL": aim.file, "toSURL": "/mine/stolen.dcm"}, variant="file"),
        _srm("mv", lambda aim: {"fromSURL": aim.directory, "toSURL": "/mine/stolen"}, variant="directory"),
        _srm("mv", lambda aim: {"fromSURL": _guid(aim), "toSURL": "/mine/stolen"}, variant="by guid"),
        _srm("mv", lambda aim: {"fromSURL": "/mine/own.dcm", "toSURL": aim.directory}, variant="into"),
        _srm(
            "mv", lambda aim: {"fromSURL": "/mine/own.dcm", "toSURL": f"{aim.directory}/x"}, variant="into as"
        ),
        _srm("mv", lambda aim: {"fromSURL": "/mine/own.dcm", "toSURL": aim.file}, variant="over"),
    ],
    "checkPermission": _own(_named("checkPermission")),
    "getPermission": [*_named("getPermission"), *_named("getPermission", principals=["user:owner"])],
    "setPermission": [
        *_named("setPermission", **_rules("rl")),
        *_named("setPermission", **_rules("i")),
        *_named("setPermission", permissionType="ADD", otherPermission="RWX"),
        *_named("setPermission", inherit=True),
        *_named("setPermission", recursive=True, **_rules("p")),
        _srm(
            "setPermission",
            lambda aim: {"surls": [aim.directory], "default": True, **_rules("r")},
            variant="default",
        ),
    ],
    "prepareToPut": [
        *_files("prepareToPut"),
        *_files("prepareToPut", overwrite=True),
        *_files("prepareToPut", createParents=True),
    ],
    "statusOfPutRequest": _of_request("statusOfPutRequest", "put"),
    "putDone": [
        _srm("putDone", lambda aim: {"requestToken": aim.requests["put"], "surls": [aim.file]}, judged=False),
        _srm(
            "putDone",
            lambda aim: {
                "requestToken": aim.requests["put"],
                "files": [{"surl": aim.file, "size": 1, "sha256": "0" * 64}],
            },
            judged=False,
            variant="sealed",
        ),
    ],
    "prepareToGet": [
        *_files("prepareToGet"),
        *_files("prepareToGet", recipient=RECIPIENT),
        *_files("prepareToGet", view="identified", recipient=RECIPIENT),
        *_own(_files("prepareToGet", view="none-such")),
        _srm(
            "prepareToGet",
            lambda aim: {"files": [{"surl": _guid(aim)}], "cohort": f"{aim.directory}/kept"},
            variant="cohort",
        ),
    ],
    "statusOfGetRequest": _of_request("statusOfGetRequest", "get"),
    "bringOnline": [*_files("bringOnline"), *_files("bringOnline", view="identified")],
    "statusOfBringOnlineRequest": _of_request("statusOfBringOnlineRequest", "bring_online"),
    "copy": [
        _srm("copy", _copied(lambda aim: aim.file, lambda aim: "/mine/stolen.dcm"), variant="of it"),
        _srm(
            "copy",
            _copied(lambda aim: _identified(aim.file), lambda aim: "/mine/stolen.dcm"),
            variant="of it identified",
        ),
        _srm("copy", _copied(lambda aim: "/mine/own.dcm", lambda aim: aim.file), variant="over it"),
        _srm(
            "copy", _copied(lambda aim: "/mine/own.dcm", lambda aim: f"{aim.directory}/x"), variant="into it"
        ),
    ],
    "statusOfCopyRequest": [
        _srm(
            "statusOfCopyRequest",
            lambda aim: {"requestToken": f"copy:{'0' * 32}"},
            judged=False,
        )
    ],
    "releaseFiles": [*_own(_named("releaseFiles")), *_of_request("releaseFiles", "get")],
    "abortRequest": [*_of_request("abortRequest", "get"), *_of_request("abortRequest", "put")],
    "abortFiles": [
        _srm(
            "abortFiles", lambda aim: {"requestToken": aim.requests["put"], "surls": [aim.file]}, judged=False
        )
    ],
    "extendFileLifeTime": _of_request("extendFileLifeTime", "get", newPinLifeTime=86400),
    "getRequestTokens": [
        _srm("getRequestTokens", lambda aim: {}, told=True, judged=False),
    ],
    "getRequestSummary": [
        _srm(
            "getRequestSummary",
            lambda aim: {"requestTokens": list(aim.requests.values())},
            told=True,
            judged=False,
        )
    ],
}


def _admin(method: str, path: str, body: Body | None = None, variant: str = "", **options: Any) -> Attack:
    return Attack(f"{method} {path} {variant}".strip(), method, lambda aim: path, body, **options)


def _profile(verb: str, body: Body) -> list[Attack]:
    return [
        _admin("POST", f"/admin/v1/profiles/{name}/{verb}", body, name) for name in ("basic", "none-such")
    ]


def _find(path: Callable[[Aim], str], **more: Any) -> Body:
    return lambda aim: {"query": "Modality is known", "path": path(aim), "select": ["*"], **more}


def _joined(path: Callable[[Aim], str]) -> Body:
    query = "c.PatientID = PatientID"
    return lambda aim: {"query": query, "path": "/mine", "joins": {"c": path(aim)}}


def _link(source: Callable[[Aim], str], target: Callable[[Aim], str], view: str = "basic") -> Body:
    return lambda aim: {"surls": [source(aim)], "target": target(aim), "view": view}


def _path(aim: Aim) -> str:
    return aim.file


def _identified_file(aim: Aim) -> str:
    return _identified(aim.file)


def _pinned(form: Callable[[Aim], str]) -> Body:
    return lambda aim: {"surl": "/mine/c", "files": [form(aim)]}


def _surl(form: Callable[[Aim], str]) -> Body:
    return lambda aim: {"surl": form(aim)}


def _replica(form: Callable[[Aim], str], url: str | None) -> Body:
    return lambda aim: {"replicas": [{"surl": form(aim), "url": url}]}


def _staged(method: str, verb: str, body: Body | None = None) -> Attack:
    return Attack(
        f"{method} /tape/v1/stage/{{id}}{verb}",
        method,
        lambda aim: f"/tape/v1/stage/{aim.requests['bring_online']}{verb}",
        body,
        judged=False,
    )


def _soap(operation: str, fields: Body, variant: str = "", **options: Any) -> Attack:
    return Attack(
        f"{operation} {variant}".strip(),
        "POST",
        lambda aim: envelopes.PATH,
        soap=lambda aim: envelopes.call(operation, **fields(aim)),
        **options,
    )


def _in_soap(field: str, form: Callable[[Aim], str]) -> Body:
    return lambda aim: {"arrayOfFileRequests": {"requestArray": [{field: form(aim)}]}}


_MAPPING = "/admin/v1/projects/{project}/mapping"


def _shred(path: str, **more: Any) -> list[Attack]:
    forms: dict[str, Callable[[Aim], dict[str, Any]]] = {
        "file": lambda aim: {"surls": [aim.file]},
        "directory": lambda aim: {"surls": [aim.directory]},
        "guid": lambda aim: {"surls": [_guid(aim)]},
        "identified": lambda aim: {"surls": [_identified(aim.file)]},
        "granted": lambda aim: {"surls": [aim.file], "asAdministrator": True},
    }

    def body(form: Callable[[Aim], dict[str, Any]]) -> Body:
        return lambda aim: form(aim) | more

    return [_admin("POST", path, body(form), name) for name, form in forms.items()]


_MIRROR = "/admin/v1/mirrors/{name}"


def _mirror(verb: str, body: Body) -> list[Attack]:
    return [_admin("POST", f"/admin/v1/mirrors/none-such/{verb}", body)]


def _as_first_site(verb: str, body: Body) -> list[Attack]:
    """By credentials that are no mirror's."""
    return [_admin("POST", f"/mirror/v1/{verb}", body, judged=False)]


ROUTES: dict[tuple[str, str], list[Attack]] = {
    ("GET", "/admin/v1/mirrors"): [_admin("GET", "/admin/v1/mirrors")],
    ("POST", f"{_MIRROR}/accept"): _mirror("accept", lambda aim: {"path": aim.directory}),
    ("POST", f"{_MIRROR}/add"): _mirror(
        "add", lambda aim: {"path": aim.directory, "url": "http://127.0.0.1:9", "credential": "c"}
    ),
    ("POST", f"{_MIRROR}/stop"): _mirror("stop", lambda aim: {"diverge": True}),
    ("POST", f"{_MIRROR}/promote"): _mirror("promote", lambda aim: {}),
    ("POST", "/mirror/v1/hello"): _as_first_site(
        "hello", lambda aim: {"installation": aim.guid, "key": "0" * 64, "epoch": None, "complete": None}
    ),
    ("POST", "/mirror/v1/records"): _as_first_site(
        "records", lambda aim: {"epoch": 1, "said": 1, "records": [{"kind": "gone", "guid": aim.guid}]}
    ),
    ("POST", "/mirror/v1/shreds"): _as_first_site("shreds", lambda aim: {"epoch": 1, "images": [aim.guid]}),
    ("POST", "/mirror/v1/acts"): _as_first_site("acts", lambda aim: {"epoch": 1, "acts": []}),
    ("PUT", "/mirror/v1/uploads/{id}"): [
        Attack("PUT /mirror/v1/uploads", "PUT", lambda aim: f"/mirror/v1/uploads/{aim.guid}", judged=False)
    ],
    # What anybody may know.
    ("GET", "/.well-known/wlcg-tape-rest-api"): [],
    ("GET", "/.well-known/oauth-authorization-server{issuer}"): [],
    ("GET", "/.well-known/openid-configuration"): [],
    # Nor is anything asked about in it: whoever has a credential is told the same.
    ("GET", "/.well-known/wlcg-storage-report"): [],
    ("GET", "/health/live"): [],
    ("GET", "/health/ready"): [],
    ("GET", "/metrics"): [_admin("GET", "/metrics", told=True, judged=False)],
    # Each operation has attacks of its own.
    ("POST", "/srm/v2/{operation}"): [],
    ("GET", "/srm/managerv2"): [],
    # The same operations in other words.
    ("POST", "/srm/managerv2"): [
        _soap("srmLs", lambda aim: {"arrayOfSURLs": {"urlArray": [aim.file]}}),
        _soap("srmLs", lambda aim: {"arrayOfSURLs": {"urlArray": [aim.directory]}}, "directory"),
        _soap("srmLs", lambda aim: {"arrayOfSURLs": {"urlArray": [_identified(aim.file)]}}, "identified"),
        _soap("srmLs", lambda aim: {"arrayOfSURLs": {"urlArray": [_guid(aim)]}}, "guid"),
        _soap("srmRm", lambda aim: {"arrayOfSURLs": {"urlArray": [aim.file]}}),
        _soap("srmMkdir", lambda aim: {"SURL": f"{aim.directory}/new"}),
        _soap("srmMv", lambda aim: {"fromSURL": aim.file, "toSURL": "/mine/stolen.dcm"}),
        _soap("srmPrepareToGet", _in_soap("sourceSURL", lambda aim: aim.file)),
        _soap("srmPrepareToGet", _in_soap("sourceSURL", lambda aim: _identified(aim.file)), "identified"),
        _soap("srmPrepareToPut", _in_soap("targetSURL", lambda aim: f"{aim.directory}/new")),
        _soap(
            "srmSetPermission",
            lambda aim: {"SURL": aim.file, "permissionType": "ADD", "otherPermission": "RWX"},
        ),
    ],
    ("POST", "/catalog/v1/replicas/list"): [
        _admin("POST", "/catalog/v1/replicas/list", lambda aim: {"surls": [aim.file]}),
        _admin("POST", "/catalog/v1/replicas/list", lambda aim: {"surls": [_guid(aim)]}, "guid"),
    ],
    **{
        ("POST", f"/catalog/v1/replicas/{verb}"): [
            _admin("POST", f"/catalog/v1/replicas/{verb}", _replica(form, url), f"{name} {url}")
            for name, form in (("path", _path), ("guid", _guid), ("identified", _identified_file))
            for url in (None, "https://elsewhere.example/x")
        ]
        for verb in ("add", "remove", "master")
    },
    # Bearer URLs: whoever has one is served. Guesses are not.
    ("GET", "/t/{token}/{name}"): [
        Attack("GET /t/", "GET", lambda aim: f"/t/{aim.guid}/image.dcm", judged=False),
    ],
    ("HEAD", "/t/{token}/{name}"): [
        Attack("HEAD /t/", "HEAD", lambda aim: f"/t/{aim.guid}/image.dcm", judged=False),
    ],
    # It does nothing, whatever it is asked about.
    ("COPY", "/t/{token}/{name}"): [],
    ("DELETE", "/t/{token}/{name}"): [
        Attack("DELETE /t/", "DELETE", lambda aim: f"/t/{aim.guid}/image.dcm", judged=False),
    ],
    ("PUT", "/t/{token}/{name}"): [
        Attack("PUT /t/", "PUT", lambda aim: f"/t/{aim.guid}/image.dcm", judged=False),
    ],
    ("POST", "/tape/v1/stage{slash}"): [
        _admin("POST", "/tape/v1/stage", lambda aim: {"files": [{"path": aim.file}]}),
        _admin("POST", "/tape/v1/stage", lambda aim: {"files": [{"path": f"/dav/@identified{aim.file}"}]}, "dav"),
        _admin("POST", "/tape/v1/stage", lambda aim: {"files": [{"path": _guid(aim)}]}, "guid"),
    ],
    ("GET", "/tape/v1/stage/{id}"): [_staged("GET", "")],
    ("DELETE", "/tape/v1/stage/{id}"): [_staged("DELETE", "")],
    ("POST", "/tape/v1/stage/{id}/cancel"): [_staged("POST", "/cancel", lambda aim: {"paths": [aim.file]})],
    ("POST", "/tape/v1/release/{id}"): [
        Attack("POST /tape/v1/release", "POST", lambda aim: f"/tape/v1/release/{aim.requests['bring_online']}",
            lambda aim: {"paths": [aim.file]}, judged=False),
        _admin("POST", "/tape/v1/release/gfal2-placeholder-id", lambda aim: {"paths": [aim.file]}, judged=False),
    ],
    ("POST", "/tape/v1/archiveinfo{slash}"): [
        _admin("POST", "/tape/v1/archiveinfo", lambda aim: {"paths": [aim.file, aim.directory]}, told=True),
        _admin("POST", "/tape/v1/archiveinfo/", lambda aim: {"paths": [_guid(aim)]}, "guid", told=True),
    ],
    # For administrators.
    ("GET", "/admin/v1/tokens"): [_admin("GET", "/admin/v1/tokens")],
    ("POST", "/admin/v1/tokens"): [
        _admin("POST", "/admin/v1/tokens", lambda aim: {"name": aim.token, "rights": "pdrwlxgsi", "path": aim.file})
    ],
    ("GET", "/admin/v1/macaroons"): [_admin("GET", "/admin/v1/macaroons", told=True, judged=False)],
    ("DELETE", "/admin/v1/macaroons/{id}"): [
        Attack(
            "DELETE /admin/v1/macaroons",
            "DELETE",
            lambda aim: f"/admin/v1/macaroons/{aim.guid}",
            judged=False,
        )
    ],
    ("DELETE", "/admin/v1/tokens/{name}"): [
        Attack("DELETE /admin/v1/tokens", "DELETE", lambda aim: f"/admin/v1/tokens/{aim.token}")
    ],
    ("GET", "/admin/v1/status"): [_admin("GET", "/admin/v1/status")],
    ("GET", "/admin/v1/keys"): [_admin("GET", "/admin/v1/keys")],
    ("POST", "/admin/v1/shred/look"): [
        *_shred("/admin/v1/shred/look"),
        _admin("POST", "/admin/v1/shred/look", lambda aim: {"patient": aim.pseudonym}, "patient", judged=False),
    ],
    ("POST", "/admin/v1/shred"): [
        *_shred("/admin/v1/shred", id=str(uuid4()), digest="0" * 64),
        _admin(
            "POST",
            "/admin/v1/shred",
            lambda aim: {"patient": aim.pseudonym, "id": str(uuid4()), "digest": "0" * 64},
            "patient",
            judged=False,
        ),
    ],
    ("GET", "/admin/v1/shreds"): [_admin("GET", "/admin/v1/shreds", told=True, judged=False)],
    ("GET", "/admin/v1/shreds/{id}"): [
        Attack(
            "GET /admin/v1/shreds",
            "GET",
            lambda aim: f"/admin/v1/shreds/{aim.guid}",
            judged=False,
        )
    ],
    **{
        ("POST", f"/admin/v1/keys/{verb}"): [
            Attack(
                f"POST /admin/v1/keys/{verb} {how}".strip(),
                "POST",
                lambda aim, verb=verb: f"/admin/v1/keys/{verb}",  # type: ignore[misc]
                lambda aim, name=name: {"surls": [name(aim)]},  # type: ignore[misc]
            )
            for how, name in (("", lambda aim: aim.file), ("guid", _guid))
        ]
        for verb in ("list", "register", "unregister", "rekey")
    },
    **{
        (method, "/admin/v1/keys/unseal"): [_admin(method, "/admin/v1/keys/unseal", body)]
        for method, body in (("GET", None), ("POST", lambda aim: {"share": "{}"}), ("DELETE", None))
    },
    ("POST", "/admin/v1/keys/rotate"): [
        _admin("POST", "/admin/v1/keys/rotate", lambda aim: {}),
        _admin("POST", "/admin/v1/keys/rotate", lambda aim: {"gone": ["a node"]}, "gone"),
    ],
    ("POST", "/admin/v1/fsck"): [
        _admin("POST", "/admin/v1/fsck", lambda aim: {}),
        _admin("POST", "/admin/v1/fsck", lambda aim: {"repair": True}, "repair"),
    ],
    ("POST", "/admin/v1/fsck/deep"): [
        _admin("POST", "/admin/v1/fsck/deep", lambda aim: {}),
        _admin("POST", "/admin/v1/fsck/deep", lambda aim: {"repair": True}, "repair"),
    ],
    ("POST", "/admin/v1/fsck/known"): [_admin("POST", "/admin/v1/fsck/known", lambda aim: {})],
    ("GET", "/admin/v1/profiles"): [_admin("GET", "/admin/v1/profiles")],
    ("POST", "/admin/v1/profiles"): [
        _admin("POST", "/admin/v1/profiles", lambda aim: {"toml": 'name = "mine"\n'}),
        _admin("POST", "/admin/v1/profiles", lambda aim: {"toml": "no profile"}, "malformed"),
    ],
    ("GET", "/admin/v1/profiles/{name}"): [
        _admin("GET", "/admin/v1/profiles/basic"),
        _admin("GET", "/admin/v1/profiles/none-such"),
    ],
    ("POST", "/admin/v1/profiles/{name}/plan"): _profile("plan", lambda aim: {"surl": aim.directory}),
    ("POST", "/admin/v1/profiles/{name}/apply"): _profile(
        "apply", lambda aim: {"surl": aim.directory, "default": True}),
    ("POST", "/admin/v1/profiles/{name}/progress"): _profile("progress", lambda aim: {"surl": aim.directory}),
    ("POST", "/admin/v1/profiles/{name}/release"): [
        _admin("POST", f"/admin/v1/profiles/{name}/release",
            lambda aim: {"surls": [aim.file]}, judged=name == "basic")
        for name in ("basic", "none-such")
    ] + [_admin("POST", "/admin/v1/profiles/basic/release", lambda aim: {"surls": [_guid(aim)]}, "by guid")],
    ("POST", "/admin/v1/report"): [
        _admin("POST", "/admin/v1/report", lambda aim: {"surl": aim.file}, "file"),
        _admin("POST", "/admin/v1/report", lambda aim: {"surl": aim.directory}, "directory"),
        _admin("POST", "/admin/v1/report", lambda aim: {"surl": f"/@basic{aim.directory}"}, "view"),
        _admin("POST", "/admin/v1/report", lambda aim: {"surl": _guid(aim)}, "guid"),
    ],
    ("POST", "/admin/v1/certificate"): [
        _admin("POST", "/admin/v1/certificate", lambda aim: {"surl": aim.file}, "file"),
        _admin("POST", "/admin/v1/certificate", lambda aim: {"surl": aim.directory}, "directory"),
        _admin("POST", "/admin/v1/certificate", lambda aim: {"surl": f"/@basic{aim.directory}"}, "view"),
        _admin("POST", "/admin/v1/certificate", lambda aim: {"surl": _guid(aim)}, "guid"),
    ],
    ("POST", "/admin/v1/survivors"): [
        _admin("POST", "/admin/v1/survivors", lambda aim: {"surl": aim.file}, "file"),
        _admin("POST", "/admin/v1/survivors", lambda aim: {"surl": aim.directory}, "directory"),
        _admin("POST", "/admin/v1/survivors", lambda aim: {"surl": aim.directory, "after": [1, ""]}, "after"),
        _admin("POST", "/admin/v1/survivors", lambda aim: {"surl": f"/@basic{aim.directory}"}, "view"),
        _admin("POST", "/admin/v1/survivors", lambda aim: {"surl": _guid(aim)}, "guid"),
    ],
    ("POST", "/meta/v1/attributes"): [
        _admin("POST", "/meta/v1/attributes", lambda aim: {"path": aim.file}, "file"),
        _admin("POST", "/meta/v1/attributes", lambda aim: {"path": aim.directory}, "directory"),
        _admin("POST", "/meta/v1/attributes", lambda aim: {"path": _guid(aim)}, "guid"),
    ],
    ("POST", "/manifests/v1"): [
        _admin("POST", "/manifests/v1", lambda aim: {"surls": [aim.file]}, "file"),
        _admin("POST", "/manifests/v1", lambda aim: {"surls": [aim.directory], "format": "fhir"}, "directory"),
        _admin("POST", "/manifests/v1", lambda aim: {"surls": [aim.file], "view": "identified"}, "identified"),
        _admin("POST", "/manifests/v1", lambda aim: {"surls": [_guid(aim)], "view": "basic"}, "guid"),
    ],
    ("POST", "/meta/v1/find"): [
        _admin("POST", "/meta/v1/find", _find(lambda aim: aim.file), "file"),
        _admin("POST", "/meta/v1/find", _find(lambda aim: aim.directory), "directory"),
        _admin("POST", "/meta/v1/find", _find(_guid), "guid"),
        _admin("POST", "/meta/v1/find", _joined(lambda aim: aim.directory), "joined"),
        _admin("POST", "/meta/v1/find", _find(lambda aim: aim.directory, view="identified"), "identified"),
        replace(_admin("POST", "/meta/v1/find", _find(lambda aim: "/"), "all", judged=False), told=True),
    ],
    ("POST", "/admin/v1/pseudonyms/lookup"): [
        _admin("POST", "/admin/v1/pseudonyms/lookup", lambda aim: {"pseudonym": aim.pseudonym}, judged=False)
    ],
    ("POST", "/cohorts/v1/create"): [
        _admin("POST", "/cohorts/v1/create", _pinned(form), name)
        for name, form in (("path", _path), ("guid", _guid), ("identified", _identified_file))
    ] + [
        _admin("POST", "/cohorts/v1/create", lambda aim: {"surl": f"{aim.directory}/c", "files": ["/mine/own.dcm"]},
            "in it"),
        _admin("POST", "/cohorts/v1/create", lambda aim: {"surl": f"{aim.file}/c", "files": ["/mine/own.dcm"]},
            "in a file"),
        _admin(
            "POST",
            "/cohorts/v1/create",
            lambda aim: {"surl": "/mine/c", "query": "Rows >= 1", "path": aim.directory},
            "of a query",
        ),
        _admin(
            "POST",
            "/cohorts/v1/create",
            lambda aim: {"surl": "/mine/c", "query": "c.Rows >= Rows", "path": "/mine", "joins": {"c": aim.directory}},
            "of a join",
        ),
    ],
    ("POST", "/cohorts/v1/list"): [
        _admin("POST", "/cohorts/v1/list", lambda aim: {"surl": aim.directory}),
        _admin("POST", "/cohorts/v1/list", lambda aim: {"surl": aim.file}, "of a file"),
    ],
    **{
        ("POST", f"/cohorts/v1/{verb}"): [
            _admin("POST", f"/cohorts/v1/{verb}", lambda aim: {"surl": f"{aim.directory}/kept"}),
            _admin("POST", f"/cohorts/v1/{verb}", lambda aim: {"surl": f"{aim.file}/kept"}, "of a file"),
        ]
        for verb in ("show", "members", "diff", "delete")
    },
    ("POST", "/admin/v1/link"): [
        _admin("POST", "/admin/v1/link", _link(lambda a: a.file, lambda a: "/mine"), "from"),
        _admin("POST", "/admin/v1/link", _link(_guid, lambda a: "/mine"), "from guid"),
        _admin("POST", "/admin/v1/link", _link(lambda a: "/mine/own.dcm", lambda a: a.directory), "to"),
        _admin("POST", "/admin/v1/link", _link(lambda a: "/mine/own.dcm", lambda a: a.file), "to a file"),
        _admin("POST", "/admin/v1/link", _link(_guid, _guid), "guids"),
    ],
    ("POST", "/admin/v1/audit/show"): [
        _admin("POST", "/admin/v1/audit/show", lambda aim: {"guid": aim.guid}),
        _admin("POST", "/admin/v1/audit/show", lambda aim: {"last": 5000}, "all"),
    ],
    ("POST", "/admin/v1/audit/export"): [
        _admin("POST", "/admin/v1/audit/export", lambda aim: {"guid": aim.guid}),
        _admin(
            "POST",
            "/admin/v1/audit/export",
            lambda aim: {"cursor": {"horizon": 1 << 40, "seal": -1, "row": -1, "loose": True}},
            "cursor",
        ),
    ],
    ("POST", "/admin/v1/audit/prune"): [
        _admin("POST", "/admin/v1/audit/prune", lambda aim: {"before": "2020-01-01T00:00:00Z"}),
        _admin("POST", "/admin/v1/audit/prune", lambda aim: {"before": "2020-01-01T00:00:00Z", "really": True}, "it"),
    ],
    ("POST", "/admin/v1/delivery"): [
        _admin("POST", "/admin/v1/delivery", lambda aim: {"surl": aim.directory}),
        _admin("POST", "/admin/v1/delivery", lambda aim: {"surl": _guid(aim)}, "guid"),
    ],
    ("PUT", "/admin/v1/delivery"): [
        _admin("PUT", "/admin/v1/delivery", lambda aim: {"surl": aim.directory, "identified": "clear"}),
        _admin("PUT", "/admin/v1/delivery",
            lambda aim: {"surl": aim.directory, "deidentified": "clear"}, "deidentified"),
    ],
    ("POST", "/admin/v1/intake"): [
        _admin("POST", "/admin/v1/intake", lambda aim: {"surl": aim.directory}),
        _admin("POST", "/admin/v1/intake", lambda aim: {"surl": _guid(aim)}, "guid"),
    ],
    ("PUT", "/admin/v1/intake"): [
        _admin("PUT", "/admin/v1/intake", lambda aim: {"surl": aim.directory, "force": "yes"}),
    ],
    ("GET", _MAPPING): [
        _admin("GET", "/admin/v1/projects/secret/mapping"),
        _admin("GET", "/admin/v1/projects/none-such/mapping", variant="none-such"),
    ],
    ("PUT", _MAPPING): [
        _admin("PUT", "/admin/v1/projects/secret/mapping", lambda aim: {"csv": "patient,subject\nP1,S1\n"}),
        _admin("PUT", "/admin/v1/projects/secret/mapping", lambda aim: {"csv": "no table"}, "malformed"),
    ],
    ("DELETE", _MAPPING): [_admin("DELETE", "/admin/v1/projects/secret/mapping")],
    ("POST", "/admin/v1/whoami"): [
        _admin("POST", "/admin/v1/whoami", _surl(form), name, told=True, judged=False)
        for name, form in (("path", _path), ("guid", _guid), ("identified", _identified_file))
    ],
    ("GET", "/admin/v1/recipients"): [_admin("GET", "/admin/v1/recipients", told=True, judged=False)],
    ("PUT", "/admin/v1/recipients"): [
        _admin("PUT", "/admin/v1/recipients", lambda aim: {"principal": "user:owner", "key": RECIPIENT}),
        _admin("PUT", "/admin/v1/recipients",
            lambda aim: {"principal": f"user:{aim.token}", "key": RECIPIENT}, "other"),
    ],
    ("POST", "/admin/v1/recipients/remove"): [
        _admin("POST", "/admin/v1/recipients/remove", lambda aim: {"principal": "user:owner"}),
        _admin("POST", "/admin/v1/recipients/remove", lambda aim: {"principal": f"user:{aim.token}"}, "other"),
    ],
}  # fmt: skip


def _dav(method: str, form: Callable[[Aim], str], variant: str = "", **headers: str) -> Attack:
    what = f"{method} /dav {variant}".strip()
    return Attack(what, method, lambda aim: f"/dav{form(aim)}", headers=headers)


def _dav_moves(method: str) -> list[Attack]:
    """To what is the caller's own, and from it."""

    def onto(form: Callable[[Aim], str], overwrite: str, variant: str) -> Attack:
        return DavOnto(
            f"{method} /dav onto {variant} {overwrite}",
            method,
            lambda aim: "/dav/mine/own.dcm",
            headers={"Overwrite": overwrite},
            onto=form,
        )

    stolen = {"Destination": "/dav/mine/stolen"}
    return [
        _dav(method, _path, **stolen),
        _dav(method, lambda aim: aim.directory, "directory", **stolen),
        _dav(method, _identified_file, "identified", **stolen),
        onto(_path, "T", "file"),
        onto(_path, "F", "file"),
        onto(lambda aim: aim.directory, "T", "directory"),
        onto(lambda aim: f"{aim.directory}/new", "T", "in it"),
    ]


@dataclass(frozen=True)
class DavOnto(Attack):
    """Its Destination is what it aims at."""

    onto: Callable[[Aim], str] = _path

    async def by(self, principal: Principal, server: Server, aim: Aim) -> Reply:
        headers = {**self.headers, "Destination": f"/dav{self.onto(aim)}"}
        return await replace(self, headers=headers)._send(principal, server, aim)

    async def _send(self, principal: Principal, server: Server, aim: Aim) -> Reply:
        return await Attack.by(self, principal, server, aim)


class _Macaroon(Attack):
    """Whoever asks may have one: of what they may themselves.

    Read as its caveats, since it and its signature are new each time. It is theirs, and taken away at once: lists of
    what is theirs would repeat the names that they asked for.
    """

    async def by(self, principal: Principal, server: Server, aim: Aim) -> Reply:
        answer = await super().by(principal, server, aim)
        if answer.status != 200:
            return answer
        found = orjson.loads(answer.body)
        given = Macaroon.deserialize(found["macaroon"])
        async with server.house.database.acquire() as db:
            assert await db.execute("delete from tokens where macaroon = $1", UUID(found["id"])) == "DELETE 1"
        caveats = [caveat.caveat_id for caveat in given.first_party_caveats()]
        assert f"path:{aim.file}" in caveats
        found["macaroon"] = [one for one in caveats if not one.startswith("before:")]
        return replace(answer, body=orjson.dumps(found))


@dataclass(frozen=True)
class _DavXml(Attack):
    """With the document that its method takes."""

    @classmethod
    def of(cls, method: str, form: Callable[[Aim], str], variant: str) -> "_DavXml":
        return cls(f"{method} /dav {variant}".strip(), method, lambda aim: f"/dav{form(aim)}")

    async def by(self, principal: Principal, server: Server, aim: Aim) -> Reply:
        return await principal.call(server, self.method, self.path(aim), data=_DOCUMENTS[self.method])


_DOCUMENTS = {
    "PROPPATCH": b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><a xmlns="urn:x">b</a></D:prop></D:set>'
    b"</D:propertyupdate>",
    "LOCK": b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype></D:lockinfo>",
}
_DAV = "/dav{path}"
_ELSEWHERE = "https://elsewhere.example/x"
"""Listed in `copy.hosts`."""
_DAV_FORMS: dict[str, Callable[[Aim], str]] = {
    "": _path,
    "directory": lambda aim: aim.directory,
    "slash": lambda aim: f"{aim.directory}/",
    "identified": _identified_file,
    "below": lambda aim: f"{aim.directory}/deeper/still",
    "below a file": lambda aim: f"{aim.file}/deeper",
    "doubled": lambda aim: aim.file.replace("/", "//"),
}
ROUTES |= {
    ("OPTIONS", _DAV): [replace(_dav("OPTIONS", _path), told=True, judged=False)],
    **{
        (method, _DAV): [_dav(method, form, variant) for variant, form in _DAV_FORMS.items()]
        for method in ("GET", "HEAD", "DELETE", "MKCOL")
    },
    ("PUT", _DAV): [
        # One that names a view is wrong whatever it is about.
        replace(_dav("PUT", form, variant), judged=variant != "identified")
        for variant, form in _DAV_FORMS.items()
    ],
    ("PROPFIND", _DAV): [
        _dav("PROPFIND", form, f"{variant} {depth}".strip(), Depth=depth)
        for variant, form in _DAV_FORMS.items()
        for depth in ("0", "1", "infinity")
    ],
    ("PROPPATCH", _DAV): [_DavXml.of("PROPPATCH", form, variant) for variant, form in _DAV_FORMS.items()],
    ("LOCK", _DAV): [
        # One that names a view is wrong whatever it is about.
        replace(_DavXml.of("LOCK", form, variant), judged=variant != "identified")
        for variant, form in _DAV_FORMS.items()
    ],
    ("UNLOCK", _DAV): [
        replace(_dav("UNLOCK", _path, **{"Lock-Token": f"<urn:uuid:{uuid4()}>"}), judged=False)
    ],
    ("MOVE", _DAV): _dav_moves("MOVE"),
    ("COPY", _DAV): [
        *_dav_moves("COPY"),
        # A pull that names a view is wrong whatever it is about.
        *(
            replace(
                _dav("COPY", _DAV_FORMS[variant], f"{variant} {header}".strip(), **{header: _ELSEWHERE}),
                judged=(variant, header) != ("identified", "Source"),
            )
            for variant in ("", "directory", "identified", "below")
            for header in ("Source", "Destination")
        ),
    ],
    ("POST", _DAV): [
        _Macaroon(
            "POST /dav",
            "POST",
            lambda aim: f"/dav{aim.file}",
            lambda aim: {"caveats": ["activity:LIST,DOWNLOAD,DELETE"]},
            told=True,
            judged=False,
            headers={"Content-Type": "application/macaroon-request"},
        )
    ],
    # The same macaroon, asked for by a form, which no attack here can send: `tests/web/test_macaroons.py` does.
    ("POST", "/token"): [],
}

_METADATA = "/meta/v1"
_AIMS: dict[str, Callable[[Aim], str]] = {"": _path, "directory": lambda aim: aim.directory, "guid": _guid}


def _take(form: Callable[[Aim], str], query: str) -> Body:
    return lambda aim: {"path": form(aim), "query": query, "values": {"mine.quality": "taken"}}


def _described(verb: str, aims: dict[str, Callable[[Aim], str]] = _AIMS, **more: Any) -> list[Attack]:
    """Of many names, or of one."""

    def body(form: Callable[[Aim], str]) -> Body:
        if verb in ("get", "set"):
            return lambda aim: {"surls": [form(aim)], **more}
        return lambda aim: {"surl": form(aim), **more}

    path = f"{_METADATA}/{verb}"
    return [_admin("POST", path, body(form), variant) for variant, form in aims.items()]


ROUTES |= {
    ("POST", f"{_METADATA}/get"): _described("get"),
    ("POST", f"{_METADATA}/set"): [
        *_described("set", values={"mine.quality": 3}),
        *_described("set", {"unset": _path}, values={"mine.quality": None}),
    ],
    ("POST", f"{_METADATA}/take"): [
        _admin("POST", f"{_METADATA}/take", _take(form, query), f"{variant} {query}".strip())
        for variant, form in _AIMS.items()
        for query in ("Rows > 0", 'mine.quality like "*"')
    ],
    ("POST", f"{_METADATA}/schemas/show"): _described("schemas/show"),
    ("POST", f"{_METADATA}/schemas/create"): _described(
        "schemas/create", name="mine", attributes=[{"name": "quality", "kind": "int"}]
    ),
    ("POST", f"{_METADATA}/schemas/change"): [
        *_described("schemas/change", name="mine", add=[{"name": "note"}]),
        *_described("schemas/change", {"remove": lambda aim: aim.directory}, name="mine", remove=["quality"]),
    ],
    ("POST", f"{_METADATA}/schemas/drop"): _described("schemas/drop", name="mine"),
    ("POST", f"{_METADATA}/sequences/list"): _described("sequences/list"),
    ("POST", f"{_METADATA}/sequences/create"): _described("sequences/create", name="run"),
    ("POST", f"{_METADATA}/sequences/next"): _described("sequences/next", name="run"),
    ("POST", f"{_METADATA}/sequences/remove"): _described("sequences/remove", name="run"),
    ("POST", f"{_METADATA}/queries/list"): _described("queries/list"),
    ("POST", f"{_METADATA}/queries/show"): _described("queries/show", name="kept"),
    ("POST", f"{_METADATA}/queries/save"): _described("queries/save", name="other", query="Rows > 1"),
    ("POST", f"{_METADATA}/queries/remove"): _described("queries/remove", name="kept"),
}

_ARCHIVE = "/admin/v1/archives/none-such"
ROUTES |= (
    {
        ("GET", "/admin/v1/archives"): [_admin("GET", "/admin/v1/archives")],
        ("POST", "/admin/v1/archives/{name}/echo"): [_admin("POST", f"{_ARCHIVE}/echo", lambda aim: {})],
        ("POST", "/admin/v1/archives/{name}/register"): [
            _admin("POST", f"{_ARCHIVE}/register", lambda aim: {"path": aim.directory}),
            _admin(
                "POST",
                f"{_ARCHIVE}/register",
                lambda aim: {"path": aim.directory, "study": aim.study},
                "by study",
            ),
        ],
    }
    | {
        ("POST", f"/admin/v1/archives/{{name}}/{verb}"): [
            _admin("POST", f"{_ARCHIVE}/{verb}", lambda aim: {}),
            _admin(
                "POST",
                f"{_ARCHIVE}/{verb}",
                lambda aim: {"query": f"PatientID={aim.pseudonym}"},
                "by patient",
            ),
        ]
        for verb in ("find", "count")
    }
    | {
        ("POST", "/admin/v1/archives/{name}/files"): [
            _admin("POST", f"{_ARCHIVE}/files", lambda aim: {}),
            _admin("POST", f"{_ARCHIVE}/files", lambda aim: {"study": aim.study}, "by study"),
            _admin("POST", f"{_ARCHIVE}/files", lambda aim: {"gone": True}, "gone"),
        ],
        ("POST", "/admin/v1/rejected"): [_admin("POST", "/admin/v1/rejected", lambda aim: {})],
        ("POST", "/admin/v1/archives/{name}/vanished"): [
            _admin("POST", f"{_ARCHIVE}/vanished", lambda aim: {"since": 1e9}),
            _admin(
                "POST", f"{_ARCHIVE}/vanished", lambda aim: {"since": 1e9, "study": aim.study}, "by study"
            ),
        ],
    }
    | {
        ("GET", "/admin/v1/cache"): [_admin("GET", "/admin/v1/cache")],
        ("POST", "/admin/v1/cache/evict"): [
            _admin("POST", "/admin/v1/cache/evict", lambda aim: {"surls": [aim.file]}),
            _admin(
                "POST", "/admin/v1/cache/evict", lambda aim: {"surls": [aim.file], "dry": True}, "dry run"
            ),
        ],
        ("POST", "/admin/v1/cache/room"): [_admin("POST", "/admin/v1/cache/room", lambda aim: {})],
    }
)


def _dicomweb(base: str, path: str) -> list[Attack]:
    """An instance by its UID; studies and series by the folder or the file where they are to be looked for."""
    what = f"GET {base}{path}"
    root = base.replace("{view}", "basic") + path.replace("{frames}", "1").replace("{where}", "7FE00010")

    def shown(aim: Aim) -> str:
        found = root.replace("{study}", aim.study).replace("{series}", aim.series)
        return found.replace("{instance}", aim.instance)

    if "{instance}" in path:
        return [Attack(what, "GET", shown, judged=False)]
    found = [
        Attack(f"{what} {variant}".strip(), "GET", lambda aim, form=form: f"{shown(aim)}?path={form(aim)}")  # type: ignore[misc]
        for variant, form in _AIMS.items()
    ]
    if not path.startswith("/studies/{study}"):
        by_uid = Attack(f"{what} uid", "GET", lambda aim: f"{shown(aim)}?SOPInstanceUID={aim.instance}")
        found.append(replace(by_uid, told=True, judged=False))
    return found


ROUTES |= {
    ("GET", base + path): _dicomweb(base, path)
    for base in ("/dicom-web", "/dicom-web/@{view}")
    for path in (
        "/studies", "/series", "/instances", "/studies/{study}/series", "/studies/{study}/instances",
        "/studies/{study}/series/{series}/instances", "/studies/{study}", "/studies/{study}/series/{series}",
        "/studies/{study}/series/{series}/instances/{instance}", "/studies/{study}/metadata",
        "/studies/{study}/series/{series}/metadata", "/studies/{study}/series/{series}/instances/{instance}/metadata",
        "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
        "/studies/{study}/series/{series}/instances/{instance}/bulkdata/{where}",
        *(f"/studies/{{study}}{series}/{what}"
          for series in ("", "/series/{series}") for what in ("rendered", "thumbnail")),
        *(f"/studies/{{study}}/series/{{series}}/instances/{{instance}}{frame}/{what}"
          for frame in ("", "/frames/{frames}") for what in ("rendered", "thumbnail")),
    )
}  # fmt: skip

ROUTES |= {
    ("POST", base + path): [
        Attack(
            f"POST {base}{path}",
            "POST",
            lambda aim, base=base, path=path: (
                base.replace("{view}", "identified") + path.replace("{study}", "1.2.3")
            ),
            headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'},
            # As a view nothing is stored, whoever asks.
            judged="{view}" not in base,
        )
    ]
    for base in ("/dicom-web", "/dicom-web/@{view}")
    for path in ("/studies", "/studies/{study}")
}

ROUTES |= {
    ("HEAD", path): [replace(one, method="HEAD", what=one.what.replace("GET", "HEAD")) for one in found]
    for (method, path), found in list(ROUTES.items())
    if method == "GET" and "{token}" not in path and path != _DAV
}


EVERY = [one for found in (*SRM.values(), *ROUTES.values()) for one in found]
FIRST = [found[0] for found in (*SRM.values(), *ROUTES.values()) if found]
"""One of each operation and route, for callers who differ in how they say who they are only."""
