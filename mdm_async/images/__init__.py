"""The verbs: put images in, make their views, serve one byte range of them. No HTTP here."""
