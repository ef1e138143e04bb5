"""Commands for tests of the lazy group."""

import click


@click.command()
def fine() -> None:
    click.echo("done")


@click.command()
def lacking() -> None:
    import a_library_that_nobody_has  # noqa: F401, PLC0415
