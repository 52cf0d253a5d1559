"""An Inspection in, characters out: text for the user, JSON for programs."""
