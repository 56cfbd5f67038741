"""Helm's provenance: the signed text, the chart that it is about, and who signed.

OpenPgp is asked between two pure steps: ``question.py`` says what is to be verified, ``judge.py`` weighs
the answer.
"""
