"""What is counted of third-party copies. Labels never carry a server, a name or a caller."""

from prometheus_client import Counter

COPIES = Counter("mdm_copies", "Third-party copies that have ended", ["direction", "outcome"])
