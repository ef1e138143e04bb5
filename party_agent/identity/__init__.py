"""Who this site is: its key and certificate, how it gets them, and how they are renewed."""
