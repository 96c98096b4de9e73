"""`mdm mirror`: a directory that lives at two sites."""
