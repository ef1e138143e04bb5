"""`python -m flow_server_sdk.cli` is `fedflow`."""

from flow_server_sdk.cli.commands import main

if __name__ == "__main__":
    main(prog_name="fedflow")
