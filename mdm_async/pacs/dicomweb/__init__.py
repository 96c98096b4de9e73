"""The client of an archive's DICOMweb services (PS3.18): it reads, and never writes."""
