"""Where a profile's rules come from: the standard's tables, the options, a site's file."""
