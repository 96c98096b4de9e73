"""What is known of images and names beside their bytes, and may be searched."""
