"""Cohorts over JSON, under /cohorts/v1."""
