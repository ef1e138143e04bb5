"""The process at a site: dials the flow server, runs its share of each run, reports."""
