"""The verbs on metadata: attributes of users' own, and what is done with them."""
