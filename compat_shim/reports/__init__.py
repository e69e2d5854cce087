"""What people read: ``status`` and its facts, the table of releases, and why a call was lowered or not."""
