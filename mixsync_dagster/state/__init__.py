"""The state store on SQLite or PostgreSQL: one database, so that effects and progress commit together."""
