"""Linking measured against labels: which concepts a careful annotator would sign (docs/linking.md)."""
