"""A Flower app: handwritten digits with NumPy."""
