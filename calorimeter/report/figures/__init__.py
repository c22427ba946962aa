"""One function per figure: a tidy table in, a matplotlib Figure out; nothing here computes."""
