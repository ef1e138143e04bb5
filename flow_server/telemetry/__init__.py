"""What an operator sees of one server: metrics, traces, health. Services know nothing of it."""
