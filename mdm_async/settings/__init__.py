"""One frozen tree of settings.

Sources, strongest first: the command line, `MDM_SECTION__KEY` in the environment, the TOML file, the defaults
of the sections. `MDM_DATABASE__DSN_FILE`, `MDM_KEYS__KEK_FILE` and `MDM_S3__SECRET_KEY_FILE` name files that hold those
secrets. A list in the environment is JSON.
"""

from mdm_async.settings.cache import CacheSettings
from mdm_async.settings.copying import CopySettings
from mdm_async.settings.dicomweb import DicomwebSettings
from mdm_async.settings.keys import KeySettings, KeyStoreSettings
from mdm_async.settings.pacs import CallingSettings, PacsSettings
from mdm_async.settings.pacs_sources import PacsSourceSettings
from mdm_async.settings.parts import brings, part_of, processes_of
from mdm_async.settings.s3 import S3Settings
from mdm_async.settings.sections import (
    MOST_BULK,
    AuditSettings,
    BlobSettings,
    DatabaseSettings,
    DeliverySettings,
    HookSettings,
    IdentitySettings,
    IssuerSettings,
    LimitSettings,
    LogSettings,
    NamingSettings,
    PathSettings,
    ScrubSettings,
    ServerSettings,
    TransferSettings,
)
from mdm_async.settings.site import SiteSettings
from mdm_async.settings.sources import load, secret_variables
from mdm_async.settings.tree import Settings

__all__ = [
    "MOST_BULK",
    "AuditSettings",
    "BlobSettings",
    "CacheSettings",
    "CallingSettings",
    "CopySettings",
    "DatabaseSettings",
    "DeliverySettings",
    "DicomwebSettings",
    "HookSettings",
    "IdentitySettings",
    "IssuerSettings",
    "KeySettings",
    "KeyStoreSettings",
    "LimitSettings",
    "LogSettings",
    "NamingSettings",
    "PacsSettings",
    "PacsSourceSettings",
    "PathSettings",
    "S3Settings",
    "ScrubSettings",
    "ServerSettings",
    "Settings",
    "SiteSettings",
    "TransferSettings",
    "brings",
    "load",
    "part_of",
    "processes_of",
    "secret_variables",
]
