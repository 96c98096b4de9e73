"""Tables of the DICOM standard as data.

ps3.15-table-e1-1-2025e.csv: PS3.15, edition 2025e, Table E.1-1, tags, names and action codes. They are facts of the
standard, which the National Electrical Manufacturers Association (NEMA) publishes; README.md says more.
"""
