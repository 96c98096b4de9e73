"""Several processes that serve as one server: the same ports, the same directory, the same Postgres."""
