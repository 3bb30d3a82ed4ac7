from small_method import data, make_run, wave

__all__ = ["data", "make_run", "wave"]
