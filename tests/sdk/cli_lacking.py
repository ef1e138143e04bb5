"""A module of commands that can't even be imported without its extra."""

import a_library_that_nobody_has  # noqa: F401
