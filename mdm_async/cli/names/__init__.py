"""`mdm ls|stat|mkdir|rm|mv|link|replica`: names."""
