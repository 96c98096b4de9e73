"""The verbs on names: list, make, move, remove, link, replicas."""
