"""Checks: pure functions from evidence to a judgement. Each module defines the evidence it judges."""
