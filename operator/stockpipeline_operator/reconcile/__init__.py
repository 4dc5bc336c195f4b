"""Brings one pipeline to what its resource says: `decide` chooses the next step, one module takes it."""
