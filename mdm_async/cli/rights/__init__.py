"""`mdm acl|delivery|recipient|token`: who may do what."""
