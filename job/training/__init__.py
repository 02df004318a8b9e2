"""Fits the candidates on a labelled drop and writes the selected one."""
