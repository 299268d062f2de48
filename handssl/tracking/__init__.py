"""MLflow for display: what the ledger has recorded, as runs, metrics, inputs and models."""
