"""What is held: images, their parts and views, blobs, profiles, replicas."""
