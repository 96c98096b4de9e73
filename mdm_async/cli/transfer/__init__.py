"""`mdm get`, `mdm put`: images in and out."""
