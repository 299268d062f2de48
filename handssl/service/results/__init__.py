"""Results of jobs: tables, reports and weights, made from the ledger in a process of their own."""
