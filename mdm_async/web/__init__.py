"""The faces to the outside. Each parses, calls a verb and answers; no rule about rights, keys or bytes is here."""
