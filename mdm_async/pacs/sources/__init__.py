"""Archives of the hospital's: what they have is registered, and fetched when somebody asks for it."""
