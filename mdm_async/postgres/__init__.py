"""Connections to Postgres, migrations, and the embedded server (`embedded/`)."""
