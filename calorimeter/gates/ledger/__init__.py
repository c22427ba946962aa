"""Gates L: every accepted stack is accounted for."""
