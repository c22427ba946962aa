"""A run in formats that other programs read: pure writers, from recorded rows and verdicts to text.

Everything that a writer yields is ASCII: it means the same in every locale, and no terminal obeys it.
"""
