"""`mdm audit`: the trail, shown, exported and verified."""
