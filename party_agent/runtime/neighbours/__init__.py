"""How a workload reaches its run's other members, and they it, whatever runtime it is in.

`addresses`, `redirects` are pure; `nftables`, `namespace` and `sidecar_program` know the kernel;
`listening` is what a runtime hands out. `nftables` and `sidecar_program` also run alone, in a
Python of 3.8 or newer that has nothing but its standard library.
"""
