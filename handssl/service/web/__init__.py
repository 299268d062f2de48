"""HTTP API, pages and metrics of the service."""
