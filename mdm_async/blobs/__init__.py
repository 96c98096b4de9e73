"""Where ciphertext lies, under random names."""
