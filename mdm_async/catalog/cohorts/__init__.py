"""Cohorts: their rows and their members', who pin versions of views."""
