//! Settings and connections of PostgreSQL plugins.
