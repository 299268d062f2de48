"""Plans of studies: what will be run, its cost, what it can show, and what was fixed beforehand."""
