"""Views of a build for people and programs; each is an observer of the executor's progress."""
