"""What the catalogue gives to other tools, one module a format; the same content always gives the same bytes.

All is pure: published resources, grants and the place go in, bytes come out, whatever order they came in.
"""
