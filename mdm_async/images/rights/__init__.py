"""The verbs on rights: ACLs, delivery, recipients' keys, tokens."""
