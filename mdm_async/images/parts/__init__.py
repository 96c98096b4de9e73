"""Parts: written under a lease, described by a view's sealed record."""
