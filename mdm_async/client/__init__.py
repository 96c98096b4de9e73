"""What runs on a worker node: it asks for images by name and pulls their bytes, checked and resumed."""

from mdm_async.client.client import Client
from mdm_async.client.download import Downloaded
from mdm_async.client.entry import Entry, Kind
from mdm_async.client.one_or_many import Outcome, SomeFailed
from mdm_async.client.pull import Pull
from mdm_async.client.ticket import Prepared, Ticket
from mdm_async.client.upload import Uploaded

__all__ = [
    "Client",
    "Downloaded",
    "Entry",
    "Kind",
    "Outcome",
    "Prepared",
    "Pull",
    "SomeFailed",
    "Ticket",
    "Uploaded",
]
