"""Following a run: where the news come from, what they amount to, and three ways to show it.

port       what a source of news offers
following  a source over FlowServerSdk's calls
board      pure: the newest of each party
live       on a terminal; plain: a line per change; stream: JSON, an object per line
session    puts them together, and asks at Ctrl-C
"""
