"""The registry: what is shipped, what users add, and what hostile indexes get."""
