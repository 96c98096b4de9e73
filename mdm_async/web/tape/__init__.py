"""The WLCG Tape REST API, version 1, on the verbs of SRM's bringOnline, releaseFiles and abortRequest."""
