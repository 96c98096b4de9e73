"""`mdm keys`: the keys of images, and those that they are wrapped under."""
