"""An endpoint checked as a monitoring system would: from outside, step by step, by its users' protocol."""
