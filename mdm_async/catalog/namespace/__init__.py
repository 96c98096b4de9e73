"""Names: directories and files, the places that paths lead to, and the way back."""
