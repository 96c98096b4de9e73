"""Tables as data: those of the DICOM standard, which NEMA publishes, and ours beside them; README.md says which."""
