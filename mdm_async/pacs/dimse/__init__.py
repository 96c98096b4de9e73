"""Devices that push images over DICOM's own protocol (PS3.7, PS3.8)."""
