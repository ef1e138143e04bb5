"""Sums a vector over all parties with torch.distributed's gloo, each party talking to each other.

    RANK=… WORLD_SIZE=… MASTER_ADDR=… MASTER_PORT=… python3 allreduce.py

The four variables are torch's own. Exits 1 if the sum is wrong, and prints it otherwise.
"""

import os
import sys

import torch
import torch.distributed as dist

LENGTH = 1_000_000
REPEATS = 5


def main() -> int:
    """Sum, check, and say so. Returns the exit status."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    for repeat in range(1, REPEATS + 1):
        share = torch.arange(LENGTH, dtype=torch.float64) * (rank + 1) * repeat
        dist.all_reduce(share)
        # 1 + 2 + … + size, times what each party started from.
        expected = torch.arange(LENGTH, dtype=torch.float64) * repeat * size * (size + 1) / 2
        if not torch.equal(share, expected):
            print(f"rank {rank}: the sum of round {repeat} is wrong", file=sys.stderr)
            return 1
    dist.barrier()
    dist.destroy_process_group()
    print(f"rank {rank} of {size} at {os.uname().nodename}: {REPEATS} sums are right", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
