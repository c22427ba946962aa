"""heat.conf and HAProxy configuration: read, write, audit, and describe a deployment from them."""
