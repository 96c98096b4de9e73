"""What Postgres knows: names, rights, images, grants, and the audit trail."""
