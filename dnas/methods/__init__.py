"""Published methods as compositions: one file each, holding a function of the file's name `(space, ...) -> Search`."""
