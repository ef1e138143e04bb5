"""What all tests share. Fixtures live in modules of their own, by subject."""

pytest_plugins = ["tests.postgres"]
