"""The documents against the program: what they show is run, and what they name must be there."""
