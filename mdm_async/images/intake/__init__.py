"""A stream of DICOM bytes becomes an image."""
