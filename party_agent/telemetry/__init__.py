"""What a site sees of its agent: metrics, traces, health. What is observed knows nothing of it."""
