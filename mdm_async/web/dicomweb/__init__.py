"""DICOMweb (PS3.18): studies are searched for and retrieved by their UIDs."""
