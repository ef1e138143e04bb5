"""A server and its parties' agents as children of one process, for `fedflow dev`."""
