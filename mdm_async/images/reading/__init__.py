"""A view as bytes: which views are served, one opened, streamed clear, or sealed for a recipient."""
