"""Studies, series and instances by their UIDs, as DICOMweb and DICOM's own protocols name images."""
