"""De-identified views made, kept in step with profiles, reported, refused and released."""
