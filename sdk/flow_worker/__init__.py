"""What code inside a container imports: standard library only, any Python image will do."""
