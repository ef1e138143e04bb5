"""What a workload tells its agent over a unix socket: progress, metrics, messages.

`folder` makes the directory that the workload sees, `http` speaks to it, `routes` says what each
request means, `readings` reads what came, `spool` keeps it, `host` owns all of that per party run.
"""
