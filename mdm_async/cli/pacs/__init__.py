"""`mdm pacs`: the hospital's archives."""
