"""Where the two ends of a tunnel meet: tickets, and a TCP relay in a thread of its own."""
