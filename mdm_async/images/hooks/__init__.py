"""Programs of the site that the server gives pixels to."""
