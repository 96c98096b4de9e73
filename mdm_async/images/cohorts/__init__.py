"""The verbs on cohorts: make one of what a query or a list gives, show it, compare it with today, delete it."""
