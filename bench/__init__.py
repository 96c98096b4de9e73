"""The load harness: how fast, how large, how soon; measured on real processes, checked by bytes. `python -m bench`."""
