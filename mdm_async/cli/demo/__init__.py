"""`mdm demo`: what the project is for, in one command."""
