"""Every map of a target: found, proven, named, judged, and compared with an earlier census."""
