"""Run folders: how they are made, and how they are read again, whoever made them."""
