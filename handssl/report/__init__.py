"""Reports of a study from its records: tables, figures and the order check.

Nothing here trains, reads MLflow or needs Ray: a report is a function of the local records.
"""
