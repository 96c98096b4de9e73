"""What a site tells of itself by well-known names."""
