"""What people see: figures, log lines, progress, summary."""
