"""Look for what is no picture in video streams, container by container, while they stream by and without decoding."""
