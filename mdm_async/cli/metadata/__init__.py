"""`mdm meta`: metadata, set, shown and searched."""
