from small_method import data, installed_wave, make_run, wave

__all__ = ["data", "installed_wave", "make_run", "wave"]
