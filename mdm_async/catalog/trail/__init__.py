"""The audit trail: acts written, rows read and sealed."""
