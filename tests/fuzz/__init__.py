"""Files that are nearly right, given to every reader of files from elsewhere."""
