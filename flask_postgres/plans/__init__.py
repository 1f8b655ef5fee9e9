"""What will be done: plans as data, the checks before them, and how they are run and undone."""
