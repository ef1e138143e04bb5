"""Background duties, each one small and restartable."""
