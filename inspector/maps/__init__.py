"""What a Go map is made of, family by family, and whether its bytes are a state that the runtime produces."""
