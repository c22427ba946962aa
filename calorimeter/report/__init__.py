"""Turns a run folder into tables, figures and a page; reads nothing else and judges nothing."""
