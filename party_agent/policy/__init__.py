"""What a site allows: its rules, how they are read, and the verdict on each request."""
