"""The only importer of SQLAlchemy: engine, tables, queries per room."""
