"""The flow server: keeps templates and tasks in Postgres and fans start and stop out."""
