"""Configuration files of Heat and HAProxy: read, written, audited, described."""
