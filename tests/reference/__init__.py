"""Slow, obvious, independent implementations that the fast ones are compared with; they share no code with irstd."""
