"""Table exchange (库表交换): a grant's share topic, kept as a table in the department's own database."""
