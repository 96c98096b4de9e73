"""Archives that speak DIMSE: asked by C-FIND, and fetched from by C-GET or C-MOVE (PS3.4 Annex C)."""
