"""What writes the audit trail without making requests wait, and what seals and tells it."""
