"""What must be done to pixels before a view may show them: looked into, cleaned, blanked, decoded."""
