"""What the command line does, one module a job; `cli` is its entry."""
