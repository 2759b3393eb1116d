"""Rows to bytes: text, table, json, jsonl, yaml, csv, jsonpath."""
