"""From a queued job to its outcome: attempts, their drivers, and the programs they need."""
