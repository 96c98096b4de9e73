"""Images encrypted anew: under other keys, with the same bytes."""
