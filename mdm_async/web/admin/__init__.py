"""For those who run the server: profiles, rights, replicas, audit, health."""
