"""The commands ``status`` and ``explain``. The others are beside what they do."""
