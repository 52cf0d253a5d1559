"""An Inspection in, characters out: text for people, JSON for programs."""
