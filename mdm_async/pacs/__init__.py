"""The hospital's side: what its devices and archives speak."""
