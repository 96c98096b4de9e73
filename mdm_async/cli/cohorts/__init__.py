"""`mdm cohort`: files pinned in the versions of their views."""
