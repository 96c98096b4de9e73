"""What the listener counts. Labels never carry a title, a name or an identifier."""

from prometheus_client import Counter, Gauge

ASSOCIATIONS = Gauge("mdm_pacs_associations", "Associations that are open")
REFUSED = Counter("mdm_pacs_associations_refused", "Associations that were refused", ["reason"])
ENDED = Counter("mdm_pacs_associations_ended", "Associations that have ended, by how", ["how"])
QUERIES = Counter(
    "mdm_pacs_queries", "Queries and retrievals answered, by operation and status", ["request", "status"]
)
REPORTS = Counter(
    "mdm_pacs_commitment_reports", "Reports of storage commitment, by what became of them", ["how"]
)
STORES = Counter("mdm_pacs_stores", "C-STORE requests answered, by status", ["status"])
