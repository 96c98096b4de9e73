"""`mdm profile`, `mdm pseudonym`: de-identification profiles."""
