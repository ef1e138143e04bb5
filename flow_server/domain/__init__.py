"""Pure decisions: data in, decision out. No await, clock, random or log."""
