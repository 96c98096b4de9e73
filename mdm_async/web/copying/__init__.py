"""Third-party copies: this server gets a file from another one, or sends it there, because a client asked."""
