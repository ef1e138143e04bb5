"""The words that server, agent and client share: ids, errors, lifecycle, one file per room.

Standard library only, no I/O, no clock, no randomness except `ids.new_*`.
"""
