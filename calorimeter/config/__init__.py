"""Reads, audits and writes the configuration files of Heat and HAProxy."""
