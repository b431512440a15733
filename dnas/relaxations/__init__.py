"""How architecture parameters become operation weights: one file each, a factory of the file's name."""
