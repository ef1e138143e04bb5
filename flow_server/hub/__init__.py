"""Live agent connections: registry, fan-out, delivery of desired state."""
