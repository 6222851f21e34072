"""Numbered SQL of the schema `management`."""
