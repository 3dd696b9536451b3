"""From change topics to share topics: consume, project, deliver, account for - in one transaction."""
