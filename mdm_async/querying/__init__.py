"""The language of queries about metadata: its words, its grammar, what a query means. Pure: text in, conditions out."""
