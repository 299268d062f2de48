"""The queue of studies in front of a Ray cluster: HTTP API, page, dispatcher, client."""
