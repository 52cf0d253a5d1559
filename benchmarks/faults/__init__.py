"""Random single bytes of real maps changed in a copy of the process's memory: are the changes seen?"""
