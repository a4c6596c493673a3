"""Bulk numbers for people."""
