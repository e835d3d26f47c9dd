"""The command line ``rdzv``; needs the extra ``[cli]``, except for what `environment` does."""
