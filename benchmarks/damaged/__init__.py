"""Random single bytes of maps changed in images of whole processes: does the census see what the single view sees?"""
