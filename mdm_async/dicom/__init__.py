"""What a DICOM file is: split, walk, scrub, inspect; bytes in, bytes out."""
