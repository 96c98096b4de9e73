"""Work as rows: taken in pages, by any node, until it is done."""
