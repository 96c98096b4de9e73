"""What every face shares: channel, bodies, problems, ranges, pace, TLS. No operation is here."""
