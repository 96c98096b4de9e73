"""Where secrets lie: images' secrets and project keys, wrapped under a key-encryption key."""
