"""What the audit counts."""

from prometheus_client import Counter

AUDIT_SEALED = Counter("mdm_audit_sealed", "Rows of the audit trail sealed by this node")
AUDIT_CONTRADICTIONS = Counter(
    "mdm_audit_contradictions", "Times that the database's seals were found not to be those published"
)
AUDIT_REFUSALS = Counter("mdm_refusals", "Accesses refused")
