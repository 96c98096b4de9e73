"""What runs on a worker node: it asks for images by name and pulls their bytes, checked and resumed.

`Client` is for asyncio, `connect` gives its blocking twin. The classes of `errors` are raised, which are Python's own
where it has one.
"""

from mdm_async.client.client import Client
from mdm_async.client.download import Downloaded
from mdm_async.client.entry import Entry, Kind
from mdm_async.client.one_or_many import Outcome, SomeFailed
from mdm_async.client.pull import Pull
from mdm_async.client.remote_file import RemoteFile
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.client.twin import BlockingClient, connect
from mdm_async.client.upload import Uploaded

__all__ = [
    "BlockingClient",
    "Client",
    "Downloaded",
    "Entry",
    "Kind",
    "Outcome",
    "Prepared",
    "Pull",
    "RemoteFile",
    "SomeFailed",
    "Ticket",
    "Uploaded",
    "connect",
]
