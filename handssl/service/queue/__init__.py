"""The queue: jobs and their states, admission, policy, tokens, in one database."""
