"""The commands of `fedflow task`, a file each or a few that belong together."""
