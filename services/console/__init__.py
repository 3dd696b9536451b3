"""The web console: its pages, and the one HTTP origin in front of the services' APIs."""
