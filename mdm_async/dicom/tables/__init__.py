"""Tables of the DICOM standard as data: PS3.15, edition 2025e, Table E.1-1 and Table E.3.10-1.

They are facts of the standard, which the National Electrical Manufacturers Association (NEMA) publishes; README.md says
more.
"""
