"""How a data set is scrubbed: what each rule does to each element, and what takes its place."""
