"""The methods: each a folder with a torch-free `config.py` and its network; `registry.py` lists them."""
