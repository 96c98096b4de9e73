"""Work as rows: queues that any node takes pages of."""
