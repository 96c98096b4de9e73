"""What keeps an installation tidy: the sweeper, its queues and their standing, fsck, the claim of the blob store."""
