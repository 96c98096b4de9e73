"""Who may do what: ACLs and the one decision point, local tokens, callers, recipients' keys."""
