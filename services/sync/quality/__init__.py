"""Quality on the stream: rows that break a rule of their contract wait, and how good the data is."""
