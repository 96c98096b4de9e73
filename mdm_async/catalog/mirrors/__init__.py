"""Installations that follow a directory of this one, and directories here that follow another's."""
