"""What keeps an installation tidy: the sweeper and fsck."""
