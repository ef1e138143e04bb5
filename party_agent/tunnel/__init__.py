"""Connections of workloads to workloads at other sites: opened, joined, sealed and pumped."""
