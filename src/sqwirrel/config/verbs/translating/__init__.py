"""The verbs of translators: trained into a folder, and asked from there."""
