"""Several producers of one pipeline: which symbols each of them sends.

`units` says what cannot be divided, `duty` decides what this producer lets go and takes (pure), `beats` keeps
its lease. The table of members is in Redis, see `adapters.member_table`.
"""
