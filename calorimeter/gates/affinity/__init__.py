"""Gates S: source affinity."""
