"""What values may be: legal for their VR, terms and words that are known, codes that are published."""
